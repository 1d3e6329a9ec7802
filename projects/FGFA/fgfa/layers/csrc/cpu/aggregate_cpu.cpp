// aggregate on the CPU: similarities of all frames, softmax, weighted sum of the warped features.
// Every sum has one owner and a fixed order, so results do not depend on the number of threads.

#include <torch/csrc/stable/library.h>
#include <torch/headeronly/core/Dispatch_v2.h>

#include <tuple>
#include <vector>

#include "../aggregate.h"
#include "warped_rows.h"

namespace fgfa {
namespace {

using torch::stable::Tensor;

// Sums over the embedding channels of the T frames of one key frame.
template <typename acc_t>
struct Similarities {
  std::vector<CosineSums<acc_t>> sums;  // (T, H, W)
  std::vector<acc_t> key_squares;       // (H, W)
};

template <typename scalar_t, typename acc_t = accumulate_t<scalar_t>>
Similarities<acc_t> similarities(RowMaps<const scalar_t>& embeddings,
                                 RowMaps<const scalar_t>& key_embedding, int64_t key, int64_t block,
                                 const std::vector<Sample<acc_t>>& samples,
                                 const AggregateShape& shape) {
  const int64_t plane = shape.plane();
  const auto& kernels = row_kernels<scalar_t>();
  const std::vector<scalar_t> zeros(block);
  Similarities<acc_t> result{std::vector<CosineSums<acc_t>>(shape.frames * plane),
                             std::vector<acc_t>(plane)};
  for_each_block(shape.embedding_channels, block, [&](int64_t first, int64_t count) {
    const auto rows = embeddings.rows(key, first, count);
    const auto key_rows = key_embedding.rows(key, first, count);
    for_each_tile(shape.height, shape.width, count * shape.frames, [&](const Tile& tile) {
      tile.for_each_cell([&](int64_t, int64_t cell) {
        result.key_squares[cell] += kernels.square(key_rows.at(0, cell), count);
      });
      for (int64_t frame = 0; frame < shape.frames; ++frame) {
        tile.for_each_cell([&](int64_t, int64_t cell) {
          const int64_t i = frame * plane + cell;
          const CornerTaps<scalar_t> corners(rows, frame, samples[i], zeros.data());
          const auto sums = kernels.cosine_sums(corners.taps, key_rows.at(0, cell), count);
          result.sums[i].product += sums.product;
          result.sums[i].square += sums.square;
        });
      }
    });
  });
  return result;
}

// Softmax over T of the cosines, (T, H, W).
template <typename acc_t>
std::vector<acc_t> softmax(const Similarities<acc_t>& similarities, const AggregateShape& shape) {
  const int64_t plane = shape.plane();
  std::vector<acc_t> weights(shape.frames * plane);
  torch::stable::parallel_for(0, plane, grain_size(8 * shape.frames), [&](auto begin, auto end) {
    for (int64_t cell = begin; cell < end; ++cell) {
      Softmax<acc_t> softmax;
      for (int64_t i = cell; i < shape.frames * plane; i += plane) {
        weights[i] = cosine(similarities.sums[i], similarities.key_squares[cell]);
        softmax.add(weights[i]);
      }
      for (int64_t i = cell; i < shape.frames * plane; i += plane) {
        weights[i] = softmax.weight(weights[i]);
      }
    }
  });
  return weights;
}

template <typename scalar_t>
void forward(const Tensor& features, const Tensor& embeddings, const Tensor& flow,
             const Tensor& key_embedding, Tensor& result, const AggregateShape& shape) {
  using acc_t = accumulate_t<scalar_t>;
  const int64_t block = channels_per_block(features, shape.frames);
  const int64_t embedding_block = channels_per_block(embeddings, shape.frames);
  RowMaps<const scalar_t> feature_maps(features, shape.frames, block);
  RowMaps<const scalar_t> embedding_maps(embeddings, shape.frames, embedding_block);
  RowMaps<const scalar_t> key_maps(key_embedding, 1, embedding_block);
  RowMaps<scalar_t> result_maps(result, 1, block);
  for (int64_t key = 0; key < shape.keys; ++key) {
    const auto samples =
        sample_frames(flow.const_data_ptr<acc_t>() + key * shape.frames * 2 * shape.plane(),
                      shape.frames, shape.height, shape.width);
    const auto weights = softmax(
        similarities(embedding_maps, key_maps, key, embedding_block, samples, shape), shape);
    for_each_block(shape.channels, block, [&](int64_t first, int64_t count) {
      const auto rows = feature_maps.rows(key, first, count);
      const auto result_rows = result_maps.rows(key, first, count);
      for_each_tile(shape.height, shape.width, count * shape.frames, [&](const Tile& tile) {
        sum_rows(tile, result_rows, 0, shape.frames, count,
                 [&](RowSum<scalar_t>& sum, int64_t frame, int64_t cell) {
                   const int64_t i = frame * shape.plane() + cell;
                   sum.add_warped(rows, frame, samples[i], weights[i]);
                 });
      });
      result_maps.flush(key, first, count);
    });
  }
}

Tensor aggregate_cpu(const Tensor& features, const Tensor& embeddings, const Tensor& flow,
                     const Tensor& key_embedding) {
  const AggregateShape shape = check_aggregate(features, embeddings, flow, key_embedding);
  const int64_t sizes[] = {shape.keys, shape.channels, shape.height, shape.width};
  Tensor result = empty_maps({sizes, 4}, features);
  if (result.numel() == 0) {
    return result;
  }
  const Tensor maps = dense(features);
  const Tensor embedding_maps = dense(embeddings);
  const Tensor key_maps = dense(key_embedding);
  const Tensor field = torch::stable::contiguous(flow);
  THO_DISPATCH_V2(features.scalar_type(), "aggregate", AT_WRAP([&] {
                    forward<scalar_t>(maps, embedding_maps, field, key_maps, result, shape);
                  }),
                  AT_FLOATING_TYPES, torch::headeronly::ScalarType::Half,
                  torch::headeronly::ScalarType::BFloat16);
  return result;
}

}  // namespace
}  // namespace fgfa

STABLE_TORCH_LIBRARY_IMPL(fgfa, CPU, m) { m.impl("aggregate", TORCH_BOX(&fgfa::aggregate_cpu)); }
