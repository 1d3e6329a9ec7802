// ps_roi_pool on the CPU. A slab is copied so that its classes lie side by side in every cell; a
// bin of a box is then a sum of vectors. It has one owner, which goes through the boxes in order,
// so results do not depend on the number of threads.

#include <torch/csrc/stable/library.h>
#include <torch/csrc/stable/ops.h>
#include <torch/headeronly/core/Dispatch_v2.h>

#include <algorithm>
#include <vector>

#include "../map_layout.h"
#include "../ps_roi_pool.h"
#include "../ps_roi_pool_math.h"

namespace fgfa {
namespace {

template <typename acc_t>
struct Lanes {
  acc_t value[kSlabClasses];

  Lanes& operator+=(const Lanes& other) {
    for (int i = 0; i < kSlabClasses; ++i) value[i] += other.value[i];
    return *this;
  }
  Lanes operator/(acc_t divisor) const {
    Lanes result;
    for (int i = 0; i < kSlabClasses; ++i) result.value[i] = value[i] / divisor;
    return result;
  }
};

// The bins of all boxes, and the boxes of each image in order.
class BinTable {
 public:
  // rois: (R, 5).
  template <typename acc_t>
  BinTable(const acc_t* rois, int64_t count, const PoolShape& shape, acc_t spatial_scale)
      : bins_(shape.bins), boxes_(shape.batch) {
    for (int64_t box = 0; box < count; ++box) {
      const acc_t* roi = rois + 5 * box;
      const int64_t image = image_of_box(roi, shape.batch);
      STD_TORCH_CHECK(image >= 0, "ps_roi_pool: box ", box, " is on image ", roi[0],
                      " of a batch of ", shape.batch, ".");
      boxes_[image].push_back(box);
      for (int64_t i = 0; i < bins_; ++i) {
        diagonal_.push_back(bin_of_box(roi, i, i, shape, spatial_scale));
      }
    }
  }

  const std::vector<int64_t>& boxes_of(int64_t image) const { return boxes_[image]; }

  Bin bin(int64_t box, const Slab& slab) const {
    return {diagonal_[box * bins_ + slab.row].rows, diagonal_[box * bins_ + slab.column].columns};
  }

 private:
  int64_t bins_;
  std::vector<std::vector<int64_t>> boxes_;
  std::vector<Bin> diagonal_;  // (R, k): bins (i, i), which have the ranges of all others
};

// Addresses of the maps of a slab; lanes without a class repeat the last one.
template <typename pointer_t>
void find_maps(pointer_t maps, const MapStrides& strides, const Slab& slab, const PoolShape& shape,
               pointer_t (&lanes)[kSlabClasses]) {
  for (int i = 0; i < kSlabClasses; ++i) {
    const int64_t channel =
        first_channel(slab, shape) + std::min(i, slab.classes - 1) * shape.bins * shape.bins;
    lanes[i] = maps + slab.image * strides.image + channel * strides.channel;
  }
}

template <typename scalar_t, typename acc_t>
void load(const scalar_t* maps, const MapStrides& strides, const Slab& slab, const PoolShape& shape,
          Lanes<acc_t>* cells) {
  const scalar_t* lanes[kSlabClasses];
  find_maps(maps, strides, slab, shape, lanes);
  for (int64_t y = 0; y < shape.height; ++y) {
    for (int64_t x = 0; x < shape.width; ++x, ++cells) {
      const int64_t offset = y * strides.row + x * strides.column;
      for (int i = 0; i < kSlabClasses; ++i) {
        cells->value[i] = static_cast<acc_t>(lanes[i][offset]);
      }
    }
  }
}

template <typename scalar_t, typename acc_t>
void store(const Lanes<acc_t>* cells, const MapStrides& strides, const Slab& slab,
           const PoolShape& shape, scalar_t* maps) {
  scalar_t* lanes[kSlabClasses];
  find_maps(maps, strides, slab, shape, lanes);
  for (int64_t y = 0; y < shape.height; ++y) {
    for (int64_t x = 0; x < shape.width; ++x, ++cells) {
      const int64_t offset = y * strides.row + x * strides.column;
      for (int i = 0; i < slab.classes; ++i) {
        lanes[i][offset] = static_cast<scalar_t>(cells->value[i]);
      }
    }
  }
}

template <typename scalar_t>
void forward(const scalar_t* input, const MapStrides& strides, const BinTable& table,
             const PoolShape& shape, scalar_t* pooled) {
  using acc_t = accumulate_t<scalar_t>;
  torch::stable::parallel_for(0, slab_count(shape), 1, [&](int64_t begin, int64_t end) {
    std::vector<Lanes<acc_t>> cells(shape.cells());
    for (int64_t index = begin; index < end; ++index) {
      const Slab slab = slab_at(index, shape);
      if (table.boxes_of(slab.image).empty()) continue;
      load(input, strides, slab, shape, cells.data());
      for (const int64_t box : table.boxes_of(slab.image)) {
        const auto mean =
            mean_of_bin<Lanes<acc_t>, acc_t>(cells.data(), table.bin(box, slab), shape.width, 1);
        scalar_t* out = pooled + box * shape.channels() + first_channel(slab, shape);
        for (int i = 0; i < slab.classes; ++i) {
          out[i * shape.bins * shape.bins] = static_cast<scalar_t>(mean.value[i]);
        }
      }
    }
  });
}

template <typename scalar_t>
void backward(const scalar_t* grad, const BinTable& table, const PoolShape& shape,
              const MapStrides& strides, scalar_t* grad_input) {
  using acc_t = accumulate_t<scalar_t>;
  torch::stable::parallel_for(0, slab_count(shape), 1, [&](int64_t begin, int64_t end) {
    std::vector<Lanes<acc_t>> cells(shape.cells());
    for (int64_t index = begin; index < end; ++index) {
      const Slab slab = slab_at(index, shape);
      std::fill(cells.begin(), cells.end(), Lanes<acc_t>{});
      for (const int64_t box : table.boxes_of(slab.image)) {
        const Bin bin = table.bin(box, slab);
        if (bin.area() == 0) continue;
        Lanes<acc_t> share;
        for (int i = 0; i < kSlabClasses; ++i) {
          share.value[i] = share_of_cell<acc_t>(grad + box * shape.channels(), bin, slab, i, shape);
        }
        for (int64_t y = bin.rows.begin; y < bin.rows.end; ++y) {
          for (int64_t x = bin.columns.begin; x < bin.columns.end; ++x) {
            cells[y * shape.width + x] += share;
          }
        }
      }
      store(cells.data(), strides, slab, shape, grad_input);
    }
  });
}

Tensor ps_roi_pool_cpu(const Tensor& input, const Tensor& rois, int64_t output_size,
                       double spatial_scale) {
  const PoolShape shape = check_ps_roi_pool(input, rois, output_size);
  const Tensor pooled =
      torch::stable::new_empty(input, {rois.size(0), shape.classes, shape.bins, shape.bins});
  const Tensor boxes = torch::stable::contiguous(rois);
  THO_DISPATCH_V2(input.scalar_type(), "ps_roi_pool", AT_WRAP([&] {
                    using acc_t = accumulate_t<scalar_t>;
                    const BinTable table(boxes.const_data_ptr<acc_t>(), boxes.size(0), shape,
                                         static_cast<acc_t>(spatial_scale));
                    forward<scalar_t>(input.const_data_ptr<scalar_t>(), strides_of(input), table,
                                      shape, pooled.mutable_data_ptr<scalar_t>());
                  }),
                  AT_FLOATING_TYPES, ScalarType::Half, ScalarType::BFloat16);
  return pooled;
}

Tensor ps_roi_pool_backward_cpu(const Tensor& grad, const Tensor& rois, int64_t batch,
                                int64_t height, int64_t width, double spatial_scale,
                                bool channels_last) {
  const PoolShape shape = check_ps_roi_pool_grad(grad, rois, batch, height, width);
  const Tensor grad_input = empty_grad_input(grad, shape, channels_last);
  const Tensor out_grad = torch::stable::contiguous(grad);
  const Tensor boxes = torch::stable::contiguous(rois);
  THO_DISPATCH_V2(grad.scalar_type(), "ps_roi_pool_backward", AT_WRAP([&] {
                    using acc_t = accumulate_t<scalar_t>;
                    const BinTable table(boxes.const_data_ptr<acc_t>(), boxes.size(0), shape,
                                         static_cast<acc_t>(spatial_scale));
                    backward<scalar_t>(out_grad.const_data_ptr<scalar_t>(), table, shape,
                                       strides_of(grad_input),
                                       grad_input.mutable_data_ptr<scalar_t>());
                  }),
                  AT_FLOATING_TYPES, ScalarType::Half, ScalarType::BFloat16);
  return grad_input;
}

}  // namespace
}  // namespace fgfa

STABLE_TORCH_LIBRARY_IMPL(fgfa, CPU, m) {
  m.impl("ps_roi_pool", TORCH_BOX(&fgfa::ps_roi_pool_cpu));
  m.impl("ps_roi_pool_backward", TORCH_BOX(&fgfa::ps_roi_pool_backward_cpu));
}
