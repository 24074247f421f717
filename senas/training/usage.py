"""Five lines of Python that run an exported file on an image file, without senas."""

from pathlib import Path

from senas.architecture import Input
from senas.training.data import DRAFT


def usage_lines(path: Path, format_name: str, network_input: Input) -> tuple[str, ...]:
    """Return the lines, which read `photo.jpg` and print the name of its class.

    They show the network the same pixels as `TrainedNetwork.predict`, except of images with 16 bits per channel. A
    network of other than one or three channels takes no image file; its lines read an array (H, W, C) of uint8 from
    `image.npy`.

    Args:
        path: Path of the exported file, whose metadata has `classes`, a JSON list of names.
        format_name: Format of the file, `onnx` or `torch`.
        network_input: Input of the network.
    """
    size, mode = network_input.size, {1: "L", 3: "RGB"}.get(network_input.channels)
    if mode is None:
        read, prepare = "image = numpy.load('image.npy')", "image = numpy.ascontiguousarray(image)"
    else:
        least = (DRAFT * size, DRAFT * size)  # of a JPEG
        read = (
            f"image = PIL.Image.open('photo.jpg'); image.draft(None, {least}); "
            "image = PIL.ImageOps.exif_transpose(image).convert('RGBA')"
        )
        white = "PIL.Image.alpha_composite(PIL.Image.new('RGBA', image.size, 'white'), image)"
        prepare = f"image = PIL.ImageOps.fit({white}.convert('{mode}'), {(size, size)})"  # bicubic
    pixels = "numpy.array(image)[None, None]" if mode == "L" else "numpy.array(image)[None].transpose(0, 3, 1, 2)"
    if format_name == "onnx":
        return (
            "import json, numpy, onnxruntime, PIL.Image, PIL.ImageOps",
            f"file = onnxruntime.InferenceSession({str(path)!r})",
            read,
            prepare,
            f"logits = file.run(['logits'], {{'images': {pixels}}})[0]; "
            "print(json.loads(file.get_modelmeta().custom_metadata_map['classes'])[logits[0].argmax()])",
        )
    return (
        "import json, numpy, torch, PIL.Image, PIL.ImageOps",
        f"file = torch.export.load({str(path)!r}, extra_files=(metadata := {{'classes': ''}}))",
        read,
        prepare,
        f"logits = file.module()(torch.tensor({pixels})); print(json.loads(metadata['classes'])[logits[0].argmax()])",
    )
