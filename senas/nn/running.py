"""How torch runs a module: compilation, and whether fp32 products may round to TF32."""

import types
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from importlib.util import find_spec

import torch
from torch import Tensor

_RECOMPILE_LIMIT = 100_000


def compiled(module: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
    """Compile a module under a code object of its own.

    torch.compile attaches compiled code to the code object and searches all of it at every call: modules that share
    the code of their class would slow each other down, and the ninth would not be compiled at all.
    """

    def forward(images: Tensor) -> Tensor:
        return module(images)

    copied = types.FunctionType(forward.__code__.replace(), globals(), "forward", None, forward.__closure__)
    return torch.compile(copied, fullgraph=True, dynamic=False)


@contextmanager
def unlimited_compilation() -> Iterator[None]:
    """Let torch.compile compile any number of modules; by default it stops compiling after a few."""
    import torch._dynamo.config as dynamo

    with dynamo.patch(recompile_limit=_RECOMPILE_LIMIT, accumulated_recompile_limit=_RECOMPILE_LIMIT):
        yield


def has_triton() -> bool:
    """Return whether Triton, which fuses SE blocks on CUDA, is installed; it comes with torch on Linux."""
    return find_spec("triton") is not None


@contextmanager
def tf32_products(allowed: bool) -> Iterator[None]:
    """Set whether CUDA's fp32 convolutions and matrix products may round to TF32; restore both at the end.

    torch allows it for convolutions by default, but not for matrix products.
    """
    with ExitStack() as stack:
        for library in (torch.backends.cuda.matmul, torch.backends.cudnn):
            stack.callback(setattr, library, "allow_tf32", library.allow_tf32)
            setattr(library, "allow_tf32", allowed)  # noqa: B010  # not a declared attribute
        yield
