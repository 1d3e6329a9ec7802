// Schemas of the operators, and the Python module whose import registers them.

#include <Python.h>
#include <torch/csrc/stable/library.h>

#include "cpu/row_kernels.h"

STABLE_TORCH_LIBRARY(fgfa, m) {
  m.def("flow_warp(Tensor feature, Tensor flow) -> Tensor");
  m.def(
      "flow_warp_backward(Tensor grad, Tensor feature, Tensor flow, "
      "bool deterministic=False) -> (Tensor grad_feature, Tensor grad_flow)");
  m.def(
      "aggregate(Tensor features, Tensor embeddings, Tensor flow, Tensor key_embedding) -> Tensor");
  m.def(
      "aggregate_backward(Tensor grad, Tensor features, Tensor embeddings, Tensor flow, "
      "Tensor key_embedding, bool deterministic=False) -> (Tensor grad_features, "
      "Tensor grad_embeddings, Tensor grad_flow, Tensor grad_key_embedding)");
  m.def("ps_roi_pool(Tensor input, Tensor rois, int output_size, float spatial_scale) -> Tensor");
  m.def(
      "ps_roi_pool_backward(Tensor grad, Tensor rois, SymInt batch, SymInt height, SymInt width, "
      "float spatial_scale, bool channels_last) -> Tensor");
}

PyMODINIT_FUNC PyInit__C() {
  static PyModuleDef definition = {
      PyModuleDef_HEAD_INIT, "_C", nullptr, -1, nullptr, nullptr, nullptr, nullptr, nullptr};
  PyObject* module = PyModule_Create(&definition);
  if (module != nullptr) {
    PyModule_AddStringConstant(module, "CPU_CAPABILITY", fgfa::cpu_capability());
#ifdef USE_CUDA
    PyModule_AddIntConstant(module, "WITH_CUDA", 1);
#else
    PyModule_AddIntConstant(module, "WITH_CUDA", 0);
#endif
  }
  return module;
}
