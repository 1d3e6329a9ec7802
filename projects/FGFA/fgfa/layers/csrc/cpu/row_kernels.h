// The inner loops of the CPU operators: over the channels of a few rows, vectorized.
//
// A row is the channels of one cell, one after another in memory. row_kernels_impl.h is compiled
// once for each instruction set; row_kernels() gives what was compiled for the best that the
// processor has.

#pragma once

#include <cstdint>

#include "../aggregate_math.h"

namespace fgfa {

// A row that is read and what it is multiplied by.
template <typename scalar_t>
struct Tap {
  const scalar_t* row;
  accumulate_t<scalar_t> factor;
};

// The 2 x 2 cells around a position: top left, top right, bottom left, bottom right.
constexpr int kCorners = 4;

// Sums over channels of each corner times the key frame's embedding, and times the embedding
// warped from the four corners.
template <typename acc_t>
struct EmbeddingDots {
  Corners<acc_t> with_key, with_warped;
};

template <typename scalar_t>
struct RowKernels {
  using acc_t = accumulate_t<scalar_t>;
  using Taps = const Tap<scalar_t>*;

  // total (channels) += the sum over taps of factor * row.
  void (*add)(Taps taps, int64_t count, int64_t channels, acc_t* total);
  // Warps an embedding from its corners.
  CosineSums<acc_t> (*cosine_sums)(Taps corners, const scalar_t* key, int64_t channels);
  EmbeddingDots<acc_t> (*embedding_dots)(Taps corners, const scalar_t* key, int64_t channels);
  // Each corner times another row; factors have no part in it.
  Corners<acc_t> (*dots)(Taps corners, const scalar_t* other, int64_t channels);
  acc_t (*square)(const scalar_t* row, int64_t channels);
  void (*store)(const acc_t* total, int64_t channels, scalar_t* row);
};

template <typename scalar_t>
const RowKernels<scalar_t>& row_kernels();

// Name of the instruction set that row_kernels() chose, for tests and bug reports.
const char* cpu_capability();

}  // namespace fgfa
