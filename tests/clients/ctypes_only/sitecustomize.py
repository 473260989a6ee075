"""On PYTHONPATH this gives back the numba.cuda that numba itself carries, which finds the driver by
ctypes (dlsym), in a process where numba-cuda, which finds it through cuda-bindings
(cuGetProcAddress), has put itself in its place. Child processes inherit it."""

import sys

sys.meta_path[:] = [f for f in sys.meta_path if type(f).__name__ != "NumbaCudaFinder"]
