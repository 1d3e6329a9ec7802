// Bodies of the kernels that read maps along a flow field (thread_team.h says what a body is).
//
// N is the number of warped maps, `frames` of them belong to one fixed map: T in aggregate, 1 in
// flow_warp. Maps have the layout of the template; flow is (N, 2, H, W), and what belongs to the
// cells of a batch (N, H, W).

#pragma once

#include "../aggregate_math.h"
#include "thread_team.h"

namespace fgfa {

// Sums over channels that compare warped maps with a fixed one, at one cell.
template <typename acc_t>
struct Products {
  CosineSums<acc_t> sums;
  acc_t fixed_square;
};

template <typename Layout, typename scalar_t>
struct WarpedProducts {
  using acc_t = accumulate_t<scalar_t>;
  static constexpr int kItems = Layout::kCells;
  static constexpr int kBlocks = kResidentBlocks<acc_t>;

  const scalar_t* maps;       // (N, C, H, W)
  const acc_t* flow;          // (N, 2, H, W)
  const scalar_t* fixed;      // (N / frames, C, H, W)
  Products<acc_t>* products;  // (N, H, W)
  MapShape shape;             // of maps
  int64_t frames;

  FGFA_HOST_DEVICE int64_t items() const { return shape.batch * shape.plane(); }

  template <typename Context>
  FGFA_DEVICE void operator()(const Context& context) const {
    const int64_t plane = shape.plane();
    const int64_t step = Layout::cell_step(shape);
    const int lane = Layout::lane(context.thread());
    const auto body = [&](int64_t item, bool active) {
      const int64_t n = item / plane;
      const int64_t cell = item % plane;
      const auto sample = sample_cell(flow + n * 2 * plane, cell, shape.height, shape.width);
      const scalar_t* const map = maps + Layout::start(shape, n);
      const scalar_t* const other = fixed + Layout::start(shape, n / frames) + cell * step;
      acc_t product = 0;
      acc_t square = 0;
      acc_t fixed_square = 0;
      for (int64_t c = lane * Layout::kWidth; active && c < shape.channels;
           c += Layout::kLanes * Layout::kWidth) {
        const int64_t channel = c * Layout::channel_step(shape);
        Corners<acc_t> corners[Layout::kWidth];
        acc_t others[Layout::kWidth];
        read_corner_packs(map + channel, sample, step, corners);
        read_pack(other + channel, others);
        for (int i = 0; i < Layout::kWidth; ++i) {
          const acc_t value = interpolate(corners[i], sample);
          product += value * others[i];
          square += value * value;
          fixed_square += others[i] * others[i];
        }
      }
      product = Layout::sum(context, product);
      square = Layout::sum(context, square);
      fixed_square = Layout::sum(context, fixed_square);
      if (active && lane == 0) {
        products[item] = {{product, square}, fixed_square};
      }
    };
    for_each_item<kItems>(context, Layout::slot(context.thread()), items(), body);
  }
};

// result = sum over frames of weights * warped maps - fixed_factor * fixed.
template <typename Layout, typename scalar_t>
struct WarpedSum {
  using acc_t = accumulate_t<scalar_t>;
  static constexpr int kItems = Layout::kCells;
  static constexpr int kBlocks = kResidentBlocks<acc_t>;
  static constexpr int kStride =
      Layout::kLanes * Layout::kWidth;                     // from a thread's pack to its next
  static constexpr int kChunk = kStride * Layout::kPacks;  // channels of an item

  const scalar_t* maps;       // (N, C, H, W)
  const acc_t* flow;          // (N, 2, H, W)
  const acc_t* weights;       // (N, H, W); null: 1
  const scalar_t* fixed;      // (N / frames, C, H, W); null: 0
  const acc_t* fixed_factor;  // (N / frames, H, W); null where fixed is
  scalar_t* result;           // (N / frames, C, H, W)
  MapShape shape;             // of result
  int64_t frames;

  FGFA_HOST_DEVICE int64_t items() const { return shape.batch * chunks() * shape.plane(); }
  FGFA_HOST_DEVICE int64_t chunks() const { return (shape.channels + kChunk - 1) / kChunk; }

  template <typename Context>
  FGFA_DEVICE void operator()(const Context& context) const {
    const int64_t plane = shape.plane();
    const auto body = [&](int64_t item, bool active) {
      if (!active) return;
      const int64_t cell = item % plane;
      const int64_t chunk = item / plane % chunks();
      const int64_t b = item / plane / chunks();
      const int64_t first = chunk * kChunk + Layout::lane(context.thread()) * Layout::kWidth;
      acc_t totals[Layout::kPacks][Layout::kWidth] = {};
      add_frames(b, cell, first, totals);
      for (int k = 0; k < Layout::kPacks; ++k) {
        if (first + k * kStride < shape.channels) {
          write(b, cell, first + k * kStride, totals[k]);
        }
      }
    };
    for_each_item<kItems>(context, Layout::slot(context.thread()), items(), body);
  }

 private:
  template <int kPacks, int kWidth>
  FGFA_DEVICE void add_frames(int64_t b, int64_t cell, int64_t first,
                              acc_t (&totals)[kPacks][kWidth]) const {
    const int64_t plane = shape.plane();
    const acc_t x = static_cast<acc_t>(cell % shape.width);
    const acc_t y = static_cast<acc_t>(cell / shape.width);
    for (int64_t n = b * frames; n < (b + 1) * frames; ++n) {
      const auto sample =
          sample_at(x + flow[n * 2 * plane + cell], y + flow[(n * 2 + 1) * plane + cell],
                    shape.height, shape.width);
      if (!sample.inside()) continue;
      const acc_t weight = weights == nullptr ? acc_t(1) : weights[n * plane + cell];
      const scalar_t* const map = maps + Layout::start(shape, n);
      for (int k = 0; k < kPacks; ++k) {
        const int64_t c = first + k * kStride;
        if (c < shape.channels) {
          Corners<acc_t> corners[kWidth];
          read_corner_packs(map + c * Layout::channel_step(shape), sample, Layout::cell_step(shape),
                            corners);
          for (int i = 0; i < kWidth; ++i) {
            totals[k][i] += weight * interpolate(corners[i], sample);
          }
        }
      }
    }
  }

  template <int kWidth>
  FGFA_DEVICE void write(int64_t b, int64_t cell, int64_t c, acc_t (&total)[kWidth]) const {
    const int64_t at =
        Layout::start(shape, b) + cell * Layout::cell_step(shape) + c * Layout::channel_step(shape);
    if (fixed != nullptr) {
      acc_t others[kWidth];
      read_pack(fixed + at, others);
      for (int i = 0; i < kWidth; ++i) {
        total[i] -= fixed_factor[b * shape.plane() + cell] * others[i];
      }
    }
    write_pack(result + at, total);
  }
};

}  // namespace fgfa
