// Arithmetic of flow_warp, one cell at a time, shared by the CPU and the CUDA kernels.

#pragma once

#include <cmath>
#include <cstdint>

#ifdef __CUDACC__
#define FGFA_HOST_DEVICE __host__ __device__ __forceinline__
#else
#define FGFA_HOST_DEVICE inline
#endif

namespace fgfa {

// Type that values are summed in; flow has this type too.
template <typename scalar_t>
struct Accumulate {
  using type = float;
};
template <>
struct Accumulate<double> {
  using type = double;
};
template <typename scalar_t>
using accumulate_t = typename Accumulate<scalar_t>::type;

// Sizes of feature maps (N, C, H, W).
struct MapShape {
  int64_t batch, channels, height, width;

  FGFA_HOST_DEVICE int64_t plane() const { return height * width; }
};

// Where one output cell reads a plane (H, W): the 2 x 2 cells whose top-left one is `corner`.
template <typename acc_t>
struct Sample {
  int64_t corner;      // in elements from the plane's start; may lie outside
  int64_t width;       // in elements from a row to the next
  acc_t right_share;   // in [0, 1)
  acc_t bottom_share;  // in [0, 1)
  bool left_inside, right_inside, top_inside, bottom_inside;

  // Whether a corner lies in the map. Never for a position that is NaN.
  FGFA_HOST_DEVICE bool inside() const {
    return (left_inside || right_inside) && (top_inside || bottom_inside);
  }
};

// The four values around a position, zero outside the map.
template <typename acc_t>
struct Corners {
  acc_t top_left, top_right, bottom_left, bottom_right;
};

// x, y: a position in cells of a map (H, W).
template <typename acc_t>
FGFA_HOST_DEVICE Sample<acc_t> sample_at(acc_t x, acc_t y, int64_t height, int64_t width) {
  // False for NaN; keeps the conversions to integers below in range.
  if (!(x >= -1 && x < static_cast<acc_t>(width) && y >= -1 && y < static_cast<acc_t>(height))) {
    return {0, width, 0, 0, false, false, false, false};
  }
  const acc_t left = std::floor(x);
  const acc_t top = std::floor(y);
  const int64_t column = static_cast<int64_t>(left);
  const int64_t row = static_cast<int64_t>(top);
  return {row * width + column, width,    x - left,        y - top, column >= 0,
          column + 1 < width,   row >= 0, row + 1 < height};
}

// flow: (2, H, W) of one image; cell: index into (H, W).
template <typename acc_t>
FGFA_HOST_DEVICE Sample<acc_t> sample_cell(const acc_t* flow, int64_t cell, int64_t height,
                                           int64_t width) {
  return sample_at(static_cast<acc_t>(cell % width) + flow[cell],
                   static_cast<acc_t>(cell / width) + flow[height * width + cell], height, width);
}

// plane: (H, W) of one channel.
template <typename scalar_t, typename acc_t>
FGFA_HOST_DEVICE Corners<acc_t> read_corners(const scalar_t* plane, const Sample<acc_t>& s) {
  const scalar_t* top = plane + s.corner;
  const scalar_t* bottom = top + s.width;
  return {s.top_inside && s.left_inside ? static_cast<acc_t>(top[0]) : acc_t(0),
          s.top_inside && s.right_inside ? static_cast<acc_t>(top[1]) : acc_t(0),
          s.bottom_inside && s.left_inside ? static_cast<acc_t>(bottom[0]) : acc_t(0),
          s.bottom_inside && s.right_inside ? static_cast<acc_t>(bottom[1]) : acc_t(0)};
}

template <typename acc_t>
FGFA_HOST_DEVICE acc_t interpolate(const Corners<acc_t>& v, const Sample<acc_t>& s) {
  const acc_t top = v.top_left * (1 - s.right_share) + v.top_right * s.right_share;
  const acc_t bottom = v.bottom_left * (1 - s.right_share) + v.bottom_right * s.right_share;
  return top * (1 - s.bottom_share) + bottom * s.bottom_share;
}

// What each of the four values counts in interpolate().
template <typename acc_t>
FGFA_HOST_DEVICE Corners<acc_t> corner_shares(const Sample<acc_t>& s) {
  const acc_t left_share = 1 - s.right_share;
  const acc_t top_share = 1 - s.bottom_share;
  return {top_share * left_share, top_share * s.right_share, s.bottom_share * left_share,
          s.bottom_share * s.right_share};
}

// Derivative of interpolate() along x; on a grid line, the one to the right.
template <typename acc_t>
FGFA_HOST_DEVICE acc_t slope_x(const Corners<acc_t>& v, const Sample<acc_t>& s) {
  return (v.top_right - v.top_left) * (1 - s.bottom_share) +
         (v.bottom_right - v.bottom_left) * s.bottom_share;
}

// Derivative of interpolate() along y; on a grid line, the one below.
template <typename acc_t>
FGFA_HOST_DEVICE acc_t slope_y(const Corners<acc_t>& v, const Sample<acc_t>& s) {
  return (v.bottom_left - v.top_left) * (1 - s.right_share) +
         (v.bottom_right - v.top_right) * s.right_share;
}

// Adds the gradient of one output cell to the corners it was read from, through add(address,
// value): a plain sum on the CPU, an atomic one on a GPU. plane: (H, W) of one channel, whose
// neighboring cells lie `step` elements apart.
template <typename acc_t, typename Add>
FGFA_HOST_DEVICE void spread(acc_t* plane, const Sample<acc_t>& s, acc_t grad, const Add& add,
                             int64_t step = 1) {
  acc_t* top = plane + s.corner * step;
  acc_t* bottom = top + s.width * step;
  const acc_t top_grad = grad * (1 - s.bottom_share);
  const acc_t bottom_grad = grad * s.bottom_share;
  if (s.top_inside && s.left_inside) add(top, top_grad * (1 - s.right_share));
  if (s.top_inside && s.right_inside) add(top + step, top_grad * s.right_share);
  if (s.bottom_inside && s.left_inside) add(bottom, bottom_grad * (1 - s.right_share));
  if (s.bottom_inside && s.right_inside) add(bottom + step, bottom_grad * s.right_share);
}

}  // namespace fgfa
