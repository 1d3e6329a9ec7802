// Gradients of aggregate on the CPU. What flows back to a cell of a map is collected from the cells
// that read it, so every sum has one owner and a fixed order.

#include <torch/csrc/stable/library.h>
#include <torch/headeronly/core/Dispatch_v2.h>

#include <tuple>
#include <vector>

#include "../aggregate.h"
#include "warped_rows.h"

namespace fgfa {
namespace {

using torch::stable::Tensor;

// Of the T frames of one key frame: sums over channels, of which all per-cell values are made.
template <typename acc_t>
struct ChannelSums {
  std::vector<Corners<acc_t>> with_grad;         // (T, H, W): corners of the features
  std::vector<EmbeddingDots<acc_t>> embeddings;  // (T, H, W)
  std::vector<acc_t> key_squares;                // (H, W)
};

// What the gradients that have channels are made of; all but the last (T, H, W).
template <typename acc_t>
struct Factors {
  std::vector<acc_t> weight;  // of grad in that of the warped features
  std::vector<acc_t> cross;   // of one embedding in the gradient of the other
  std::vector<acc_t> warped;  // of the warped embedding in its own gradient, subtracted
  std::vector<acc_t> key;     // (H, W): of the key embedding in its own gradient, subtracted
};

template <typename acc_t>
void accumulate(Corners<acc_t>& sum, const Corners<acc_t>& term) {
  sum.top_left += term.top_left;
  sum.top_right += term.top_right;
  sum.bottom_left += term.bottom_left;
  sum.bottom_right += term.bottom_right;
}

template <typename scalar_t>
class Backward {
 public:
  using acc_t = accumulate_t<scalar_t>;

  Backward(const AggregateShape& shape, const Tensor& grad, const Tensor& features,
           const Tensor& embeddings, const Tensor& key_embedding)
      : shape_(shape),
        block_(channels_per_block(features, shape.frames)),
        embedding_block_(channels_per_block(embeddings, shape.frames)),
        grad_(grad, 1, block_),
        features_(features, shape.frames, block_),
        embeddings_(embeddings, shape.frames, embedding_block_),
        key_embedding_(key_embedding, 1, embedding_block_),
        zeros_(std::max(block_, embedding_block_)) {}

  // flow and grad_flow: (T, 2, H, W) of the key frame.
  void run(int64_t key, const acc_t* flow, acc_t* grad_flow, Tensor& grad_features,
           Tensor& grad_embeddings, Tensor& grad_key_embedding) {
    samples_ = sample_frames(flow, shape_.frames, shape_.height, shape_.width);
    readers_.clear();
    for (int64_t frame = 0; frame < shape_.frames; ++frame) {
      readers_.emplace_back(samples_.data() + frame * shape_.plane(), shape_.plane());
    }
    const Factors<acc_t> factors = differentiate(channel_sums(key), grad_flow);
    fill_grad_features(key, factors, grad_features);
    fill_grad_embeddings(key, factors, grad_embeddings, grad_key_embedding);
  }

 private:
  ChannelSums<acc_t> channel_sums(int64_t key) {
    const int64_t cells = shape_.frames * shape_.plane();
    const auto& kernels = row_kernels<scalar_t>();
    ChannelSums<acc_t> sums{std::vector<Corners<acc_t>>(cells),
                            std::vector<EmbeddingDots<acc_t>>(cells),
                            std::vector<acc_t>(shape_.plane())};
    for_each_block(shape_.channels, block_, [&](int64_t first, int64_t count) {
      const auto rows = features_.rows(key, first, count);
      const auto grad_rows = grad_.rows(key, first, count);
      for_each_read(count, [&](int64_t frame, int64_t cell, int64_t i) {
        const CornerTaps<scalar_t> corners(rows, frame, samples_[i], zeros_.data());
        accumulate(sums.with_grad[i], kernels.dots(corners.taps, grad_rows.at(0, cell), count));
      });
    });
    for_each_block(shape_.embedding_channels, embedding_block_, [&](int64_t first, int64_t count) {
      const auto rows = embeddings_.rows(key, first, count);
      const auto key_rows = key_embedding_.rows(key, first, count);
      for_each_read(count, [&](int64_t frame, int64_t cell, int64_t i) {
        const CornerTaps<scalar_t> corners(rows, frame, samples_[i], zeros_.data());
        const auto dots = kernels.embedding_dots(corners.taps, key_rows.at(0, cell), count);
        accumulate(sums.embeddings[i].with_key, dots.with_key);
        accumulate(sums.embeddings[i].with_warped, dots.with_warped);
        if (frame == 0) {
          sums.key_squares[cell] += kernels.square(key_rows.at(0, cell), count);
        }
      });
    });
    return sums;
  }

  // Goes backward through the sum over frames, softmax, cosine and sampling, cell by cell.
  Factors<acc_t> differentiate(const ChannelSums<acc_t>& sums, acc_t* grad_flow) {
    const int64_t plane = shape_.plane();
    const int64_t cells = shape_.frames * plane;
    Factors<acc_t> factors{std::vector<acc_t>(cells), std::vector<acc_t>(cells),
                           std::vector<acc_t>(cells), std::vector<acc_t>(plane)};
    const auto cosine_sums = [&](int64_t i) -> CosineSums<acc_t> {
      return {interpolate(sums.embeddings[i].with_key, samples_[i]),
              interpolate(sums.embeddings[i].with_warped, samples_[i])};
    };
    const auto differentiate_cell = [&](int64_t cell) {
      const acc_t key_square = sums.key_squares[cell];
      Softmax<acc_t> softmax;
      for (int64_t i = cell; i < cells; i += plane) {
        factors.weight[i] = cosine(cosine_sums(i), key_square);
        softmax.add(factors.weight[i]);
      }
      acc_t mean = 0;  // of the gradients of the weights
      for (int64_t i = cell; i < cells; i += plane) {
        factors.weight[i] = softmax.weight(factors.weight[i]);
        mean += factors.weight[i] * interpolate(sums.with_grad[i], samples_[i]);
      }
      for (int64_t i = cell; i < cells; i += plane) {
        const acc_t weight = factors.weight[i];
        const auto& sample = samples_[i];
        const auto& [with_key, with_warped] = sums.embeddings[i];
        const acc_t grad_cosine =
            softmax_grad(weight, interpolate(sums.with_grad[i], sample), mean);
        const auto slopes = cosine_slopes(cosine_sums(i), key_square);
        factors.cross[i] = grad_cosine * slopes.cross;
        factors.warped[i] = grad_cosine * slopes.warped;
        factors.key[cell] += grad_cosine * slopes.key;
        acc_t* grad_x = grad_flow + (i / plane * 2) * plane + cell;
        grad_x[0] = weight * slope_x(sums.with_grad[i], sample) +
                    factors.cross[i] * slope_x(with_key, sample) -
                    factors.warped[i] * slope_x(with_warped, sample);
        grad_x[plane] = weight * slope_y(sums.with_grad[i], sample) +
                        factors.cross[i] * slope_y(with_key, sample) -
                        factors.warped[i] * slope_y(with_warped, sample);
      }
    };
    torch::stable::parallel_for(0, plane, grain_size(64 * shape_.frames),
                                [&](int64_t begin, int64_t end) {
                                  for (int64_t cell = begin; cell < end; ++cell) {
                                    differentiate_cell(cell);
                                  }
                                });
    return factors;
  }

  void fill_grad_features(int64_t key, const Factors<acc_t>& factors, Tensor& grad_features) {
    RowMaps<scalar_t> result(grad_features, shape_.frames, block_);
    for_each_block(shape_.channels, block_, [&](int64_t first, int64_t count) {
      const auto grad_rows = grad_.rows(key, first, count);
      const auto result_rows = result.rows(key, first, count);
      for_each_tile(shape_.height, shape_.width, count * shape_.frames, [&](const Tile& tile) {
        for (int64_t frame = 0; frame < shape_.frames; ++frame) {
          const acc_t* weights = factors.weight.data() + frame * shape_.plane();
          sum_rows(tile, result_rows, frame, 1, count,
                   [&](RowSum<scalar_t>& sum, int64_t, int64_t cell) {
                     readers_[frame].for_each(cell, [&](int64_t reader, acc_t share) {
                       sum.add(grad_rows.at(0, reader), share * weights[reader]);
                     });
                   });
        }
      });
      result.flush(key, first, count);
    });
  }

  void fill_grad_embeddings(int64_t key, const Factors<acc_t>& factors, Tensor& grad_embeddings,
                            Tensor& grad_key_embedding) {
    RowMaps<scalar_t> result(grad_embeddings, shape_.frames, embedding_block_);
    RowMaps<scalar_t> key_result(grad_key_embedding, 1, embedding_block_);
    for_each_block(shape_.embedding_channels, embedding_block_, [&](int64_t first, int64_t count) {
      const auto rows = embeddings_.rows(key, first, count);
      const auto key_rows = key_embedding_.rows(key, first, count);
      const auto result_rows = result.rows(key, first, count);
      const auto key_result_rows = key_result.rows(key, first, count);
      for_each_tile(shape_.height, shape_.width, 5 * count * shape_.frames, [&](const Tile& tile) {
        for (int64_t frame = 0; frame < shape_.frames; ++frame) {
          sum_rows(tile, result_rows, frame, 1, count,
                   [&](RowSum<scalar_t>& sum, int64_t, int64_t cell) {
                     readers_[frame].for_each(cell, [&](int64_t reader, acc_t share) {
                       const int64_t i = frame * shape_.plane() + reader;
                       sum.add(key_rows.at(0, reader), share * factors.cross[i]);
                       // Readers lie side by side, so that most of their corners are the same.
                       for_each_corner(samples_[i], [&](bool inside, int64_t corner, acc_t part) {
                         if (inside) {
                           sum.merge(rows.at(frame, corner), -share * part * factors.warped[i]);
                         }
                       });
                     });
                   });
        }
        sum_rows(tile, key_result_rows, 0, shape_.frames, count,
                 [&](RowSum<scalar_t>& sum, int64_t frame, int64_t cell) {
                   const int64_t i = frame * shape_.plane() + cell;
                   sum.add_warped(rows, frame, samples_[i], factors.cross[i]);
                   if (frame == 0) {
                     sum.add(key_rows.at(0, cell), -factors.key[cell]);
                   }
                 });
      });
      result.flush(key, first, count);
      key_result.flush(key, first, count);
    });
  }

  // Calls body(frame, cell, its number in (T, H, W)) for all cells of all frames, tile by tile.
  template <typename Body>
  void for_each_read(int64_t channels, const Body& body) {
    for_each_tile(shape_.height, shape_.width, channels * shape_.frames, [&](const Tile& tile) {
      for (int64_t frame = 0; frame < shape_.frames; ++frame) {
        tile.for_each_cell(
            [&](int64_t, int64_t cell) { body(frame, cell, frame * shape_.plane() + cell); });
      }
    });
  }

  AggregateShape shape_;
  int64_t block_, embedding_block_;
  RowMaps<const scalar_t> grad_, features_, embeddings_, key_embedding_;
  std::vector<scalar_t> zeros_;
  std::vector<Sample<acc_t>> samples_;  // (T, H, W)
  std::vector<Readers<acc_t>> readers_;
};

template <typename scalar_t>
void backward(const AggregateShape& shape, const Tensor& grad, const Tensor& features,
              const Tensor& embeddings, const Tensor& flow, const Tensor& key_embedding,
              Tensor& grad_features, Tensor& grad_embeddings, Tensor& grad_flow,
              Tensor& grad_key_embedding) {
  using acc_t = accumulate_t<scalar_t>;
  Backward<scalar_t> backward(shape, grad, features, embeddings, key_embedding);
  for (int64_t key = 0; key < shape.keys; ++key) {
    const int64_t field = key * shape.frames * 2 * shape.plane();
    backward.run(key, flow.const_data_ptr<acc_t>() + field,
                 grad_flow.mutable_data_ptr<acc_t>() + field, grad_features, grad_embeddings,
                 grad_key_embedding);
  }
}

Tensor zero_maps_like(const Tensor& maps) {
  Tensor zeros = empty_maps(maps.sizes(), maps);
  return torch::stable::zero_(zeros);
}

std::tuple<Tensor, Tensor, Tensor, Tensor> aggregate_backward_cpu(
    const Tensor& grad, const Tensor& features, const Tensor& embeddings, const Tensor& flow,
    const Tensor& key_embedding, bool /* deterministic in any case */) {
  const AggregateShape shape = check_aggregate(features, embeddings, flow, key_embedding);
  check_aggregate_grad(grad, features, shape);
  Tensor grad_flow = torch::stable::new_zeros(flow, flow.sizes());
  if (grad.numel() == 0) {
    return {zero_maps_like(features), zero_maps_like(embeddings), grad_flow,
            zero_maps_like(key_embedding)};
  }
  Tensor grad_features = empty_maps(features.sizes(), features);
  Tensor grad_embeddings = empty_maps(embeddings.sizes(), embeddings);
  const Tensor maps = dense(features);
  const Tensor embedding_maps = dense(embeddings);
  const Tensor key_maps = dense(key_embedding);
  Tensor grad_key_embedding = empty_maps(key_embedding.sizes(), key_embedding);
  const Tensor out_grad = dense(grad);
  const Tensor field = torch::stable::contiguous(flow);
  THO_DISPATCH_V2(features.scalar_type(), "aggregate_backward", AT_WRAP([&] {
                    backward<scalar_t>(shape, out_grad, maps, embedding_maps, field, key_maps,
                                       grad_features, grad_embeddings, grad_flow,
                                       grad_key_embedding);
                  }),
                  AT_FLOATING_TYPES, torch::headeronly::ScalarType::Half,
                  torch::headeronly::ScalarType::BFloat16);
  return {grad_features, grad_embeddings, grad_flow, grad_key_embedding};
}

}  // namespace
}  // namespace fgfa

STABLE_TORCH_LIBRARY_IMPL(fgfa, CPU, m) {
  m.impl("aggregate_backward", TORCH_BOX(&fgfa::aggregate_backward_cpu));
}
