// Arithmetic of ps_roi_pool, one bin or one cell at a time, shared by the CPU and the CUDA kernels.

#pragma once

#include <cmath>
#include <cstdint>

#include "flow_warp_math.h"

namespace fgfa {

// Sizes of maps (N, D * k * k, H, W) that are pooled into (R, D, k, k); `bins` is k.
struct PoolShape {
  int64_t batch, classes, bins, height, width;

  FGFA_HOST_DEVICE int64_t cells() const { return height * width; }
  FGFA_HOST_DEVICE int64_t channels() const { return classes * bins * bins; }
};

// Distances between neighbors in maps (N, C, H, W) of any layout, in elements.
struct MapStrides {
  int64_t image, channel, row, column;
};

// Cells [begin, end) along one axis; 32 bits, as a GPU has few registers for more.
struct Range {
  int32_t begin, end;

  FGFA_HOST_DEVICE int64_t size() const { return end - begin; }
  FGFA_HOST_DEVICE bool contains(int32_t cell) const { return begin <= cell && cell < end; }
};

// The cells that one bin of one box covers.
struct Bin {
  Range rows, columns;

  FGFA_HOST_DEVICE int64_t area() const { return rows.size() * columns.size(); }
};

// Maps that are worked on together: bin (row, column) of an image, for up to kSlabClasses classes.
constexpr int kSlabClasses = 8;
struct Slab {
  int64_t image, first_class;
  int32_t classes, row, column;
};

FGFA_HOST_DEVICE int64_t class_blocks(const PoolShape& shape) {
  return (shape.classes + kSlabClasses - 1) / kSlabClasses;
}

FGFA_HOST_DEVICE int64_t slab_count(const PoolShape& shape) {
  return shape.batch * class_blocks(shape) * shape.bins * shape.bins;
}

// Bins change first, then classes, then images: neighbors read neighboring maps.
FGFA_HOST_DEVICE Slab slab_at(int64_t index, const PoolShape& shape) {
  const int64_t bin = index % (shape.bins * shape.bins);
  const int64_t block = index / (shape.bins * shape.bins);
  const int64_t first = block % class_blocks(shape) * kSlabClasses;
  const int64_t left = shape.classes - first;
  return {block / class_blocks(shape), first,
          static_cast<int32_t>(left < kSlabClasses ? left : kSlabClasses),
          static_cast<int32_t>(bin / shape.bins), static_cast<int32_t>(bin % shape.bins)};
}

// Channel of a slab's first class; the next ones are k * k channels apart.
FGFA_HOST_DEVICE int64_t first_channel(const Slab& slab, const PoolShape& shape) {
  return (slab.first_class * shape.bins + slab.row) * shape.bins + slab.column;
}

// Rounded on its own: an addition that follows is not fused with it, which would move bins.
template <typename acc_t>
FGFA_HOST_DEVICE acc_t product(acc_t a, acc_t b) {
#ifdef __CUDA_ARCH__
  if constexpr (sizeof(acc_t) == sizeof(float)) {
    return __fmul_rn(a, b);
  } else {
    return __dmul_rn(a, b);
  }
#else
  volatile acc_t rounded = a * b;
  return rounded;
#endif
}

// The whole number `position`, moved into [0, cells].
template <typename acc_t>
FGFA_HOST_DEVICE int32_t clamp_cell(acc_t position, int64_t cells) {
  if (!(position > 0)) return 0;
  return static_cast<int32_t>(position < static_cast<acc_t>(cells) ? static_cast<int64_t>(position)
                                                                   : cells);
}

// Cells of bin `index` of a box that spans the pixels from start to end of one axis. The steps and
// their order are those of the original: bins change by a cell where they differ. A box with a
// corner that is not finite has no cells.
template <typename acc_t>
FGFA_HOST_DEVICE Range bin_range(acc_t start, acc_t end, int64_t index, int64_t bins, int64_t cells,
                                 acc_t spatial_scale) {
  const acc_t least_size = static_cast<acc_t>(0.1);
  const acc_t first = product(std::round(start), spatial_scale);
  const acc_t extent = product(std::round(end) + 1, spatial_scale) - first;
  if (!(extent - extent == 0)) return {0, 0};
  const acc_t size = (extent < least_size ? least_size : extent) / static_cast<acc_t>(bins);
  const acc_t from = product(static_cast<acc_t>(index), size) + first;
  const acc_t to = product(static_cast<acc_t>(index + 1), size) + first;
  return {clamp_cell(std::floor(from), cells), clamp_cell(std::ceil(to), cells)};
}

// box: image index, x1, y1, x2, y2.
template <typename acc_t>
FGFA_HOST_DEVICE Bin bin_of_box(const acc_t* box, int64_t row, int64_t column,
                                const PoolShape& shape, acc_t spatial_scale) {
  return {bin_range(box[2], box[4], row, shape.bins, shape.height, spatial_scale),
          bin_range(box[1], box[3], column, shape.bins, shape.width, spatial_scale)};
}

// Image that a box is on, or -1 where the batch has no such image.
template <typename acc_t>
FGFA_HOST_DEVICE int64_t image_of_box(const acc_t* box, int64_t batch) {
  return box[0] > -1 && box[0] < static_cast<acc_t>(batch) ? static_cast<int64_t>(box[0]) : -1;
}

// Mean of a bin's cells, zero without any. Rows are summed one by one and then their sums, which
// keeps the digits of large bins. map: cells (H, W) of any type that value_t is made of.
template <typename value_t, typename acc_t, typename cell_t>
FGFA_HOST_DEVICE value_t mean_of_bin(const cell_t* map, const Bin& bin, int64_t row_stride,
                                     int64_t column_stride) {
  value_t total{};
  for (int64_t y = bin.rows.begin; y < bin.rows.end; ++y) {
    const cell_t* cells = map + y * row_stride;
    value_t sum{};
    for (int64_t x = bin.columns.begin; x < bin.columns.end; ++x) {
      sum += static_cast<value_t>(cells[x * column_stride]);
    }
    total += sum;
  }
  return bin.area() > 0 ? total / static_cast<acc_t>(bin.area()) : total;
}

// Element `index` of the result (R, D, k, k); zero where the box is on no image.
template <typename scalar_t>
FGFA_HOST_DEVICE scalar_t pool_element(const scalar_t* input, const MapStrides& strides,
                                       const accumulate_t<scalar_t>* rois, int64_t index,
                                       const PoolShape& shape,
                                       accumulate_t<scalar_t> spatial_scale) {
  using acc_t = accumulate_t<scalar_t>;
  const acc_t* box = rois + index / shape.channels() * 5;
  const int64_t image = image_of_box(box, shape.batch);
  if (image < 0) return static_cast<scalar_t>(0);
  const int64_t channel = index % shape.channels();
  const Bin bin = bin_of_box(box, channel / shape.bins % shape.bins, channel % shape.bins, shape,
                             spatial_scale);
  const scalar_t* map = input + image * strides.image + channel * strides.channel;
  return static_cast<scalar_t>(mean_of_bin<acc_t, acc_t>(map, bin, strides.row, strides.column));
}

// What every cell of a bin gets of the gradient of its mean, for class i of a slab.
// grad: (D, k, k) of one box.
template <typename acc_t, typename scalar_t>
FGFA_HOST_DEVICE acc_t share_of_cell(const scalar_t* grad, const Bin& bin, const Slab& slab, int i,
                                     const PoolShape& shape) {
  if (i >= slab.classes) return 0;
  const scalar_t value = grad[first_channel(slab, shape) + i * shape.bins * shape.bins];
  return static_cast<acc_t>(value) / static_cast<acc_t>(bin.area());
}

// A slab's bin of a box, empty where the box is on another image.
template <typename acc_t>
FGFA_HOST_DEVICE Bin bin_on_slab(const acc_t* box, const Slab& slab, const PoolShape& shape,
                                 acc_t spatial_scale) {
  if (image_of_box(box, shape.batch) != slab.image) return {{0, 0}, {0, 0}};
  return bin_of_box(box, slab.row, slab.column, shape, spatial_scale);
}

// Adds what a cell of a slab gets from one box. grad: (D, k, k) of that box.
template <typename scalar_t, typename acc_t>
FGFA_HOST_DEVICE void gather_share(const scalar_t* grad, const Bin& bin, int32_t row,
                                   int32_t column, const Slab& slab, const PoolShape& shape,
                                   acc_t (&sums)[kSlabClasses]) {
  if (!bin.rows.contains(row) || !bin.columns.contains(column)) return;
  for (int i = 0; i < kSlabClasses; ++i) {
    sums[i] += share_of_cell<acc_t>(grad, bin, slab, i, shape);
  }
}

// Writes the gradient of a cell of a slab.
template <typename scalar_t, typename acc_t>
FGFA_HOST_DEVICE void write_cell(const acc_t (&sums)[kSlabClasses], int32_t row, int32_t column,
                                 const Slab& slab, const PoolShape& shape,
                                 const MapStrides& strides, scalar_t* grad_input) {
  scalar_t* cell = grad_input + slab.image * strides.image +
                   first_channel(slab, shape) * strides.channel + row * strides.row +
                   column * strides.column;
  for (int i = 0; i < kSlabClasses; ++i) {
    if (i < slab.classes) {
      cell[i * shape.bins * shape.bins * strides.channel] = static_cast<scalar_t>(sums[i]);
    }
  }
}

}  // namespace fgfa
