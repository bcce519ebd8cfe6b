# Which libtorch FAIRLEAD_CUDA=ON builds against: the first with CUDA in CMAKE_PREFIX_PATH or
# Torch_DIR, else the one of python3's torch. Reads files only, so that a wrong one is refused with a
# reason before libtorch's own configuration asks for a toolkit.

set(FAIRLEAD_CUDA_TORCH_VERSION 2.0)
set(FAIRLEAD_PYTHON python3 /usr/bin/python3 CACHE STRING "Pythons that are asked for a torch with CUDA")

# fairlead_torch_refusal(DIR OUT): why the libtorch whose TorchConfig.cmake is in DIR will not do;
# empty when it will.
function(fairlead_torch_refusal dir out)
  set(${out} "" PARENT_SCOPE)
  set(version "of unknown version")
  if(EXISTS "${dir}/TorchConfigVersion.cmake")
    file(STRINGS "${dir}/TorchConfigVersion.cmake" line REGEX "set\\(PACKAGE_VERSION" LIMIT_COUNT 1)
    string(REGEX MATCH "[0-9]+\\.[0-9]+(\\.[0-9]+)?" version "${line}")
  endif()
  if(NOT version VERSION_GREATER_EQUAL FAIRLEAD_CUDA_TORCH_VERSION)
    set(${out} "is version ${version}, older than ${FAIRLEAD_CUDA_TORCH_VERSION}" PARENT_SCOPE)
    return()
  endif()
  # <prefix>/share/cmake/Torch as published, <libraries>/cmake/Torch as distributions lay it out.
  if(NOT EXISTS "${dir}/../../../lib/libtorch_cuda.so" AND NOT EXISTS "${dir}/../../libtorch_cuda.so")
    set(${out} "is built for the CPU alone: it has no libtorch_cuda.so" PARENT_SCOPE)
    return()
  endif()
  file(STRINGS "${dir}/TorchConfig.cmake" old_abi REGEX "_GLIBCXX_USE_CXX11_ABI=0" LIMIT_COUNT 1)
  if(old_abi)
    set(${out} "is built with the C++ library's old ABI, which gRPC and protobuf do not share: take \
its cxx11-abi build, or version 2.7 or newer" PARENT_SCOPE)
  endif()
endfunction()

# fairlead_python_torch(OUT): the folder of TorchConfig.cmake in python3's torch; empty without one.
function(fairlead_python_torch out)
  set(${out} "" PARENT_SCOPE)
  foreach(python ${FAIRLEAD_PYTHON})
    execute_process(COMMAND ${python} -c "import torch; print(torch.utils.cmake_prefix_path)"
      OUTPUT_VARIABLE prefix ERROR_QUIET RESULT_VARIABLE failed OUTPUT_STRIP_TRAILING_WHITESPACE)
    if(NOT failed AND EXISTS "${prefix}/Torch/TorchConfig.cmake")
      set(${out} "${prefix}/Torch" PARENT_SCOPE)
      return()
    endif()
  endforeach()
endfunction()

# fairlead_choose_cuda_torch(OUT): the folder to give find_package as Torch_DIR. Stops with what was
# looked at and what to do when there is none, or no nvcc.
function(fairlead_choose_cuda_torch out)
  find_program(FAIRLEAD_NVCC nvcc HINTS ENV CUDA_HOME ENV CUDA_PATH PATHS /usr/local/cuda
    PATH_SUFFIXES bin)
  if(NOT FAIRLEAD_NVCC)
    message(FATAL_ERROR "FAIRLEAD_CUDA: no nvcc in PATH, CUDA_HOME or /usr/local/cuda. libtorch with \
CUDA cannot be linked without the toolkit: install it, or configure with -DFAIRLEAD_CUDA=OFF.")
  endif()
  set(looked "")
  set(candidates "")
  if(Torch_DIR)
    list(APPEND candidates "${Torch_DIR}")
  endif()
  file(TO_CMAKE_PATH "$ENV{CMAKE_PREFIX_PATH}" from_environment)
  foreach(prefix ${CMAKE_PREFIX_PATH} ${from_environment})
    foreach(below share/cmake/Torch Torch lib/cmake/Torch)
      if(EXISTS "${prefix}/${below}/TorchConfig.cmake")
        list(APPEND candidates "${prefix}/${below}")
      endif()
    endforeach()
  endforeach()
  fairlead_python_torch(from_python)
  list(APPEND candidates ${from_python})
  foreach(dir ${candidates})
    fairlead_torch_refusal("${dir}" refusal)
    if(NOT refusal)
      message(STATUS "CUDA: libtorch of ${dir}, ${FAIRLEAD_NVCC}")
      set(${out} "${dir}" PARENT_SCOPE)
      return()
    endif()
    string(APPEND looked "\n  ${dir} ${refusal}")
  endforeach()
  if(NOT looked)
    set(looked " none: CMAKE_PREFIX_PATH names no libtorch, and python3 has no torch")
  endif()
  message(FATAL_ERROR "FAIRLEAD_CUDA: no libtorch ${FAIRLEAD_CUDA_TORCH_VERSION} or newer with CUDA. \
Looked at:${looked}
Name one: -DCMAKE_PREFIX_PATH=/path/to/libtorch, or install torch with CUDA for python3.")
endfunction()
