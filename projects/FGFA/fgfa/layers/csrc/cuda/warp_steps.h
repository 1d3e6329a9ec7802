// Launches of the kernels that read maps along a flow field, in the layout that maps have.
// launch(kernel) runs all threads of a kernel: CudaLaunch (launch.cuh) on a GPU, FiberLaunch
// (tests/layers/fibers.h) on the CPU.

#pragma once

#include "../map_layout.h"
#include "warp_backward_kernels.h"
#include "warp_kernels.h"

namespace fgfa {

// Dense maps (N, C, H, W).
template <typename scalar_t>
struct Maps {
  const scalar_t* data;
  MapShape shape;
  MemoryFormat layout;
};

template <typename scalar_t>
Maps<scalar_t> maps_of(const Tensor& tensor, const MapShape& shape, MemoryFormat layout) {
  return {tensor.const_data_ptr<scalar_t>(), shape, layout};
}

// Calls body with the layout of maps. others: what else is accessed in packs of that layout.
template <typename scalar_t, typename Body, typename... Others>
void visit_layout(const Maps<scalar_t>& maps, const Body& body, const Others*... others) {
  constexpr int kPack = 16 / sizeof(accumulate_t<scalar_t>);
  const auto is_aligned = [](const void* data) {
    return reinterpret_cast<uintptr_t>(data) % alignof(Pack<scalar_t, kPack>) == 0;
  };
  if (maps.layout == MemoryFormat::Contiguous) {
    body(ChannelsFirst{});
  } else if (maps.shape.channels % kPack == 0 && is_aligned(maps.data) &&
             (is_aligned(others) && ...)) {
    body(ChannelsLast<kPack>{});
  } else {
    body(ChannelsLast<1>{});
  }
}

template <typename scalar_t, typename Launch>
void warped_products(const Launch& launch, const Maps<scalar_t>& maps,
                     const accumulate_t<scalar_t>* flow, const scalar_t* fixed, int64_t frames,
                     Products<accumulate_t<scalar_t>>* products) {
  const auto run = [&](auto layout) {
    launch(WarpedProducts<decltype(layout), scalar_t>{maps.data, flow, fixed, products, maps.shape,
                                                      frames});
  };
  visit_layout(maps, run, fixed);
}

// What WarpedSum reads beside maps and flow; all of it may be null.
template <typename scalar_t>
struct SumFactors {
  const accumulate_t<scalar_t>* weights;
  const scalar_t* fixed;
  const accumulate_t<scalar_t>* fixed_factor;
};

template <typename scalar_t, typename Launch>
void warped_sum(const Launch& launch, const Maps<scalar_t>& maps,
                const accumulate_t<scalar_t>* flow, const SumFactors<scalar_t>& factors,
                int64_t frames, scalar_t* result, int64_t results) {
  MapShape shape = maps.shape;
  shape.batch = results;
  const auto run = [&](auto layout) {
    launch(WarpedSum<decltype(layout), scalar_t>{maps.data, flow, factors.weights, factors.fixed,
                                                 factors.fixed_factor, result, shape, frames});
  };
  visit_layout(maps, run, factors.fixed, result);
}

// Adds to grad_maps and grad_flow, which are of the type that sums have.
template <typename scalar_t, typename Launch>
void warp_backward(const Launch& launch, const WarpedGradient<scalar_t>& warped,
                   MemoryFormat layout, bool deterministic, accumulate_t<scalar_t>* grad_maps,
                   accumulate_t<scalar_t>* grad_flow) {
  const Maps<scalar_t> maps{warped.maps, warped.shape, layout};
  const auto run = [&](auto tag) {
    launch(WarpBackward<decltype(tag), scalar_t>{warped, deterministic ? nullptr : grad_maps,
                                                 grad_flow});
  };
  visit_layout(maps, run, warped.fixed);
  if (deterministic && layout == MemoryFormat::ChannelsLast) {
    launch(MapsBackwardInOrder<ChannelsLast<1>, scalar_t>{warped, grad_maps});
  } else if (deterministic) {
    launch(MapsBackwardInOrder<ChannelsFirst, scalar_t>{warped, grad_maps});
  }
}

}  // namespace fgfa
