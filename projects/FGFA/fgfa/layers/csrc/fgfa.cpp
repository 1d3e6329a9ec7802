// Schemas of the operators, and the Python module whose import registers them.

#include <Python.h>
#include <torch/csrc/stable/library.h>

STABLE_TORCH_LIBRARY(fgfa, m) {
  m.def("flow_warp(Tensor feature, Tensor flow) -> Tensor");
  m.def(
      "flow_warp_backward(Tensor grad, Tensor feature, Tensor flow) -> "
      "(Tensor grad_feature, Tensor grad_flow)");
}

PyMODINIT_FUNC PyInit__C() {
  static PyModuleDef definition = {
      PyModuleDef_HEAD_INIT, "_C", nullptr, -1, nullptr, nullptr, nullptr, nullptr, nullptr};
  PyObject* module = PyModule_Create(&definition);
  if (module != nullptr) {
#ifdef USE_CUDA
    PyModule_AddIntConstant(module, "WITH_CUDA", 1);
#else
    PyModule_AddIntConstant(module, "WITH_CUDA", 0);
#endif
  }
  return module;
}
