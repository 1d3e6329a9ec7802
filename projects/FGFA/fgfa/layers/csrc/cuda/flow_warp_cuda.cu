// flow_warp on CUDA.

#include <torch/csrc/stable/library.h>

#include "flow_warp_op.h"
#include "launch.cuh"

STABLE_TORCH_LIBRARY_IMPL(fgfa, CUDA, m) {
  m.impl("flow_warp", TORCH_BOX(&fgfa::flow_warp<fgfa::CudaLaunch>));
  m.impl("flow_warp_backward", TORCH_BOX(&fgfa::flow_warp_backward<fgfa::CudaLaunch>));
}
