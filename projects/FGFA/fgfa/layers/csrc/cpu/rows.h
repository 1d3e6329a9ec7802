// Feature maps as rows: the channels of one cell, one after another in memory.
//
// Channels-last maps are read and written in place. Contiguous (N, C, H, W) maps are transposed
// through scratch memory, a block of channels at a time, so that the same kernels serve both.

#pragma once

#include <torch/csrc/stable/ops.h>
#include <torch/csrc/stable/tensor.h>

#include <algorithm>
#include <memory>
#include <type_traits>

#include "../map_layout.h"
#include "transpose.h"

namespace fgfa {

// Values that a thread should have to work on, at least.
constexpr int64_t kGrain = 16384;

inline int64_t grain_size(int64_t values_per_item) {
  return std::max<int64_t>(1, kGrain / std::max<int64_t>(1, values_per_item));
}

// Rows of T frames; T = 1 for what belongs to the key frame.
template <typename value_t>
struct Rows {
  value_t* data;
  int64_t frame_stride, cell_stride;

  value_t* at(int64_t frame, int64_t cell) const {
    return data + frame * frame_stride + cell * cell_stride;
  }
};

// The maps themselves if one of the two layouts is theirs, a contiguous copy otherwise.
inline torch::stable::Tensor dense(const torch::stable::Tensor& maps) {
  return is_channels_last(maps) ? maps : torch::stable::contiguous(maps);
}

// An uninitialized result in the layout of others.
inline torch::stable::Tensor empty_maps(torch::headeronly::IntHeaderOnlyArrayRef sizes,
                                        const torch::stable::Tensor& others) {
  return torch::stable::empty(sizes, others.scalar_type(), std::nullopt, others.device(),
                              std::nullopt, layout_of(others));
}

// How many channels are transposed at a time: all of them where that is not needed.
inline int64_t channels_per_block(const torch::stable::Tensor& maps, int64_t frames) {
  constexpr int64_t kScratchBytes = 8 << 20;
  constexpr int64_t kMost = 128;
  constexpr int64_t kStep = 16;
  if (is_channels_last(maps)) return maps.size(1);
  const int64_t bytes = frames * maps.size(2) * maps.size(3) * maps.element_size();
  const int64_t fit = kScratchBytes / std::max<int64_t>(1, bytes);
  return std::clamp(fit / kStep * kStep, kStep, kMost);
}

// Calls body(first channel, number of channels) for one block after another.
template <typename Body>
void for_each_block(int64_t channels, int64_t block, const Body& body) {
  for (int64_t first = 0; first < channels; first += block) {
    body(first, std::min(block, channels - first));
  }
}

// Reads or writes maps (B * T, C, H, W), the T frames of one key frame at a time, as rows. A writer
// is one whose scalar_t is not const; it needs flush() after each block.
template <typename scalar_t>
class RowMaps {
 public:
  RowMaps(const torch::stable::Tensor& maps, int64_t frames, int64_t block)
      : frames_(frames),
        channels_(maps.size(1)),
        plane_(maps.size(2) * maps.size(3)),
        in_place_(is_channels_last(maps)) {
    using value_t = std::remove_const_t<scalar_t>;
    if constexpr (std::is_const_v<scalar_t>) {
      data_ = maps.const_data_ptr<value_t>();
    } else {
      data_ = maps.mutable_data_ptr<value_t>();
    }
    if (!in_place_) {
      scratch_.reset(new value_t[frames * plane_ * block]);
    }
  }

  // Channels [first, first + count) of the frames of a key frame.
  Rows<scalar_t> rows(int64_t key, int64_t first, int64_t count) {
    if (in_place_) {
      return {data_ + key * frames_ * plane_ * channels_ + first, plane_ * channels_, channels_};
    }
    if constexpr (std::is_const_v<scalar_t>) {
      for_each_piece(key, first, count, [&](scalar_t* map, auto* rows, int64_t cells) {
        transpose(map, plane_, count, cells, rows, count);
      });
    }
    return {scratch_.get(), plane_ * count, count};
  }

  void flush(int64_t key, int64_t first, int64_t count) {
    if (!in_place_) {
      for_each_piece(key, first, count, [&](scalar_t* map, const scalar_t* rows, int64_t cells) {
        transpose(rows, count, cells, count, map, plane_);
      });
    }
  }

 private:
  // Calls body(map, rows, cells) for a few cells at a time, in parallel.
  template <typename Body>
  void for_each_piece(int64_t key, int64_t first, int64_t count, const Body& body) {
    constexpr int64_t kCells = 64;
    const int64_t pieces = (plane_ + kCells - 1) / kCells;
    torch::stable::parallel_for(
        0, frames_ * pieces, grain_size(kCells * count), [&](int64_t begin, int64_t end) {
          for (int64_t i = begin; i < end; ++i) {
            const int64_t frame = i / pieces;
            const int64_t cell = i % pieces * kCells;
            body(data_ + ((key * frames_ + frame) * channels_ + first) * plane_ + cell,
                 scratch_.get() + (frame * plane_ + cell) * count, std::min(kCells, plane_ - cell));
          }
        });
  }

  scalar_t* data_;
  int64_t frames_, channels_, plane_;
  bool in_place_;
  std::unique_ptr<std::remove_const_t<scalar_t>[]> scratch_;
};

}  // namespace fgfa
