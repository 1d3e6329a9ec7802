// In which of two layouts maps (N, C, H, W) are read and written: contiguous, or channels-last,
// which is to say as (N, H, W, C).

#pragma once

#include <torch/csrc/stable/ops.h>
#include <torch/csrc/stable/tensor.h>
#include <torch/headeronly/core/MemoryFormat.h>

#include "flow_warp_math.h"

namespace fgfa {

using torch::headeronly::MemoryFormat;
using torch::headeronly::ScalarType;
using torch::stable::Tensor;

// Whether the channels of a cell lie one after another. Sides of length 1 fit any layout.
inline bool is_channels_last(const Tensor& maps) {
  int64_t stride = 1;
  for (const int64_t dim : {1, 3, 2, 0}) {
    if (maps.size(dim) != 1 && maps.stride(dim) != stride) return false;
    stride *= maps.size(dim);
  }
  return true;
}

// The layout of a tensor (N, C, H, W), contiguous where it is dense in neither or in both.
inline MemoryFormat layout_of(const Tensor& maps) {
  return !maps.is_contiguous() && is_channels_last(maps) ? MemoryFormat::ChannelsLast
                                                         : MemoryFormat::Contiguous;
}

// Uninitialized maps on the device of another tensor.
inline Tensor empty_maps(const Tensor& like, const MapShape& shape, ScalarType type,
                         MemoryFormat layout) {
  return torch::stable::empty({shape.batch, shape.channels, shape.height, shape.width}, type,
                              std::nullopt, like.device(), std::nullopt, layout);
}

inline Tensor zero_maps(const Tensor& like, const MapShape& shape, ScalarType type,
                        MemoryFormat layout) {
  Tensor maps = empty_maps(like, shape, type, layout);
  torch::stable::zero_(maps);
  return maps;
}

}  // namespace fgfa
