// How the threads of a block share the cells and the channels of a map.
//
// Kernels are structs whose operator()(context) is the body of one thread. All that a body needs
// of the device comes from its context: CudaContext (launch.cuh), or FiberContext, with which
// tests/layers/fibers.h runs the same bodies over whole grids on the CPU:
//
//   block(), blocks(), thread()   where the thread stands; a block has kThreads threads
//   shuffle_xor(value, mask)      the value of the thread whose place in the warp differs by mask
//   shared<T>(), sync()           kThreads values that a block shares; a barrier of the block
//   atomic_add(address, value)

#pragma once

#include "../flow_warp_math.h"

#ifdef __CUDACC__
#define FGFA_DEVICE __device__ __forceinline__
#else
#define FGFA_DEVICE inline
#endif

namespace fgfa {

constexpr int kThreads = 256;
constexpr int kWarp = 32;
// Blocks that a multiprocessor shall hold at once, which leaves a thread 64 registers, with double
// precision 128. No kernel spills then; with fewer some do.
template <typename acc_t>
constexpr int kResidentBlocks = sizeof(acc_t) == 4 ? 4 : 2;

// Neighboring values that are read and written as one.
template <typename scalar_t, int kWidth>
struct alignas(sizeof(scalar_t) * kWidth) Pack {
  scalar_t values[kWidth];
};

// (N, H, W, C): a warp owns a cell, its lanes share the channels in packs of kPack.
template <int kPack>
struct ChannelsLast {
  static constexpr int kWidth = kPack;             // channels that a thread reads at once
  static constexpr int kPacks = 2;                 // of them, that a thread sums at a time
  static constexpr int kCells = kThreads / kWarp;  // cells of a block
  static constexpr int kLanes = kWarp;             // threads of a cell

  FGFA_DEVICE static int slot(int thread) { return thread / kWarp; }  // which of the cells
  FGFA_DEVICE static int lane(int thread) { return thread % kWarp; }  // which thread of the cell

  // Of a map of a batch, in elements; cells and channels may be counted from there.
  FGFA_DEVICE static int64_t start(const MapShape& shape, int64_t n) {
    return n * shape.channels * shape.plane();
  }
  FGFA_DEVICE static int64_t cell_step(const MapShape& shape) { return shape.channels; }
  FGFA_DEVICE static int64_t channel_step(const MapShape&) { return 1; }

  // Sum over the threads of a cell; every thread of the block must take part.
  template <typename Context, typename T>
  FGFA_DEVICE static T sum(const Context& context, T value) {
    for (int mask = kWarp / 2; mask > 0; mask /= 2) {
      value += context.shuffle_xor(value, mask);
    }
    return value;
  }
};

// (N, C, H, W): a warp reads 32 neighboring cells, the warps of a block share the channels.
struct ChannelsFirst {
  static constexpr int kWidth = 1;
  static constexpr int kPacks = 4;
  static constexpr int kCells = kWarp;
  static constexpr int kLanes = kThreads / kWarp;

  FGFA_DEVICE static int slot(int thread) { return thread % kWarp; }
  FGFA_DEVICE static int lane(int thread) { return thread / kWarp; }

  FGFA_DEVICE static int64_t start(const MapShape& shape, int64_t n) {
    return n * shape.channels * shape.plane();
  }
  FGFA_DEVICE static int64_t cell_step(const MapShape&) { return 1; }
  FGFA_DEVICE static int64_t channel_step(const MapShape& shape) { return shape.plane(); }

  template <typename Context, typename T>
  FGFA_DEVICE static T sum(const Context& context, T value) {
    T* const values = context.template shared<T>();
    values[context.thread()] = value;
    context.sync();
    T total = 0;
    for (int other = 0; other < kLanes; ++other) {
      total += values[other * kCells + slot(context.thread())];
    }
    context.sync();
    return total;
  }
};

// Calls body(item, active) for the items that thread `slot` of a group of kItems owns. All threads
// of a block call it equally often, as collective calls in it demand; past the last item, they
// call it with the last one and active = false.
template <int kItems, typename Context, typename Body>
FGFA_DEVICE void for_each_item(const Context& context, int slot, int64_t items, const Body& body) {
  for (int64_t first = context.block() * kItems; first < items;
       first += context.blocks() * kItems) {
    const int64_t item = first + slot;
    body(item < items ? item : items - 1, item < items);
  }
}

template <int kWidth, typename scalar_t, typename acc_t>
FGFA_DEVICE void read_pack(const scalar_t* address, acc_t (&values)[kWidth]) {
  const auto pack = *reinterpret_cast<const Pack<scalar_t, kWidth>*>(address);
  for (int i = 0; i < kWidth; ++i) {
    values[i] = static_cast<acc_t>(pack.values[i]);
  }
}

template <int kWidth, typename scalar_t, typename acc_t>
FGFA_DEVICE void write_pack(scalar_t* address, const acc_t (&values)[kWidth]) {
  Pack<scalar_t, kWidth> pack;
  for (int i = 0; i < kWidth; ++i) {
    pack.values[i] = static_cast<scalar_t>(values[i]);
  }
  *reinterpret_cast<Pack<scalar_t, kWidth>*>(address) = pack;
}

// read_corners() of kWidth channels. channel: of a map, its cells `step` elements apart.
template <int kWidth, typename scalar_t, typename acc_t>
FGFA_DEVICE void read_corner_packs(const scalar_t* channel, const Sample<acc_t>& s, int64_t step,
                                   Corners<acc_t> (&corners)[kWidth]) {
  const scalar_t* top = channel + s.corner * step;
  const scalar_t* bottom = top + s.width * step;
  acc_t values[4][kWidth] = {};
  if (s.top_inside && s.left_inside) read_pack(top, values[0]);
  if (s.top_inside && s.right_inside) read_pack(top + step, values[1]);
  if (s.bottom_inside && s.left_inside) read_pack(bottom, values[2]);
  if (s.bottom_inside && s.right_inside) read_pack(bottom + step, values[3]);
  for (int i = 0; i < kWidth; ++i) {
    corners[i] = {values[0][i], values[1][i], values[2][i], values[3][i]};
  }
}

}  // namespace fgfa
