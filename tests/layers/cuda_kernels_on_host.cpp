// The CUDA operators, run on the CPU by fibers; test_cuda_kernels_on_host.py builds and loads this.

#include <torch/csrc/stable/library.h>

#include "cuda/aggregate_op.h"
#include "cuda/flow_warp_op.h"
#include "cuda/ps_roi_pool_op.h"
#include "fibers.h"

namespace {

// Sums over the channels of a cell, in which a thread may be missing.
template <typename Layout>
struct LayoutSum {
  static constexpr int kItems = Layout::kCells;

  bool complete;

  int64_t items() const { return 1; }

  template <typename Context>
  void operator()(const Context& context) const {
    if (complete || context.thread() != 40) Layout::sum(context, 1.0f);
  }
};

}  // namespace

extern "C" void set_grid(int64_t max_blocks, bool reversed) {
  fgfa::FiberLaunch::max_blocks = max_blocks;
  fgfa::FiberLaunch::reversed = reversed;
}

extern "C" bool all_threads_arrive(bool channels_last, bool complete) {
  try {
    if (channels_last) {
      fgfa::FiberLaunch()(LayoutSum<fgfa::ChannelsLast<1>>{complete});
    } else {
      fgfa::FiberLaunch()(LayoutSum<fgfa::ChannelsFirst>{complete});
    }
  } catch (const std::runtime_error&) {
    return false;
  }
  return true;
}

STABLE_TORCH_LIBRARY(fgfa_on_host, m) {
  m.def("flow_warp(Tensor feature, Tensor flow) -> Tensor");
  m.def(
      "flow_warp_backward(Tensor grad, Tensor feature, Tensor flow, bool deterministic) -> "
      "(Tensor, Tensor)");
  m.def(
      "aggregate(Tensor features, Tensor embeddings, Tensor flow, Tensor key_embedding) -> Tensor");
  m.def(
      "aggregate_backward(Tensor grad, Tensor features, Tensor embeddings, Tensor flow, "
      "Tensor key_embedding, bool deterministic) -> (Tensor, Tensor, Tensor, Tensor)");
  m.def("ps_roi_pool(Tensor input, Tensor rois, int output_size, float spatial_scale) -> Tensor");
  m.def(
      "ps_roi_pool_backward(Tensor grad, Tensor rois, int batch, int height, int width, "
      "float spatial_scale, bool channels_last) -> Tensor");
}

STABLE_TORCH_LIBRARY_IMPL(fgfa_on_host, CPU, m) {
  m.impl("flow_warp", TORCH_BOX(&fgfa::flow_warp<fgfa::FiberLaunch>));
  m.impl("flow_warp_backward", TORCH_BOX(&fgfa::flow_warp_backward<fgfa::FiberLaunch>));
  m.impl("aggregate", TORCH_BOX(&fgfa::aggregate<fgfa::FiberLaunch>));
  m.impl("aggregate_backward", TORCH_BOX(&fgfa::aggregate_backward<fgfa::FiberLaunch>));
  m.impl("ps_roi_pool", TORCH_BOX(&fgfa::ps_roi_pool<fgfa::FiberLaunch>));
  m.impl("ps_roi_pool_backward", TORCH_BOX(&fgfa::ps_roi_pool_backward<fgfa::FiberLaunch>));
}
