"""Images as rows of ``kspace/``, their magnitudes in ``images/``, and maps of complete series in ``maps/``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from orchestrator.analysis.maps import BINS, Geometry, geometry, image_noise_sd, magnitudes, mapped
from orchestrator.recorder.appends import Append, Make, Rows, column
from orchestrator.recorder.datasets import group_name
from orchestrator.recorder.fids import AXIS, CONSOLE, free_name, needs_double
from orchestrator.recorder.layout import GROUPS, IMAGE, KSPACE, MAP
from orchestrator.recorder.runtime import RunTime

K = NDArray[np.complexfloating[Any, Any]]
SHOWN = "images"
PARENTS = tuple(group for group in GROUPS if group.path in {"kspace", "images", "maps"})


def is_image(data: Mapping[str, Any], fids: K) -> bool:
    """Are these FIDs a whole k-space? One that was halted stays FIDs."""
    return bool(data.get("encodes")) and data["encodes"] == len(fids) > 1


@dataclass(slots=True, eq=False)
class ImageStream:
    """Images of one name and size, in one group; ``series``: of each acquisition that is not complete, by block (echo time, image)."""

    name: str
    dtype: str
    geometry: Geometry
    size: int = 0
    maps: int = -1
    series: dict[str, dict[int, tuple[float, K]]] = field(default_factory=dict)

    @property
    def path(self) -> str:
        """Group of the k-space."""
        return f"kspace/{self.name}"


class ImageStreams:
    """All groups of images of one run."""

    def __init__(self, time: RunTime) -> None:
        self._time = time
        self._streams: dict[tuple[Any, ...], ImageStream] = {}
        self._names: set[str] = set()

    def of(self, data: Mapping[str, Any], image: K) -> tuple[ImageStream, list[Append]]:
        """The group that this image goes into, made where there is none."""
        where = (data["name"], image.shape, *(data.get(name) for name in AXIS))
        dtype = "<c16" if needs_double(image, str(data["raw_dtype"])) else "<c8"
        stream = self._streams.get((*where, "<c16")) or self._streams.get((*where, dtype))
        if stream is not None:
            return stream, []
        name = free_name(group_name(str(data["name"])), self._names)
        stream = ImageStream(name, dtype, geometry(data, image.shape))
        made: list[Append] = [] if self._streams else [Make(parent.path, parent) for parent in PARENTS]
        self._streams[(*where, dtype)] = stream
        return stream, [*made, *_made(stream, data, image.shape, self._time)]

    @staticmethod
    def derived(stream: ImageStream, data: Mapping[str, Any], image: K, time_s: float, row: int) -> Iterator[Append]:
        """The magnitude of an image, and the map of the series that it completes."""
        value = data.get("block_value") or {}
        shown: dict[str, Any] = {
            "magnitude": magnitudes(image[None], mirrored=bool(data.get("reversed_axis"))).astype("<f4"),
            "time": column(IMAGE, "time", [time_s]),
            "key": column(IMAGE, "key", [data["key"]]),
            "block": column(IMAGE, "block", [data["block"]]),
        }
        if value.get("name") == "TE_ms":
            shown["TE"] = column(IMAGE, "TE", [value["value"]])
        yield Rows(f"{SHOWN}/{stream.name}", IMAGE, row, shown)
        series = stream.series.setdefault(str(data["key"]), {})
        series[int(data["block"])] = (float(value.get("value") or 0.0), image)
        if len(series) == int(data.get("blocks") or 1):
            del stream.series[str(data["key"])]
            yield from _mapped(stream, data, [series[block] for block in sorted(series)], time_s)


def _mapped(stream: ImageStream, data: Mapping[str, Any], series: list[tuple[float, K]], time_s: float) -> Iterator[Append]:
    echo_s = np.array([TE_ms for TE_ms, _ in series]) * 1e-3
    if len(np.unique(echo_s)) < 2:
        return
    stack = np.stack([image for _, image in series])
    found = mapped(stack, echo_s, image_noise_sd(stack), mirrored=bool(data.get("reversed_axis")))
    path = f"maps/{stream.name}"
    stream.maps += 1
    if stream.maps == 0:
        yield _made_map(stream, path)
    yield Rows(
        path,
        MAP,
        stream.maps,
        {
            "T2": (1e3 * found.T2_s)[None].astype("<f4"),
            "T2_error": (1e3 * found.T2_sd_s)[None].astype("<f4"),
            "amplitude": found.amplitude[None].astype("<f4"),
            "mask": (found.bright.astype("u1") + found.determined.astype("u1"))[None],
            "cluster": found.cluster[None].astype("u1"),
            "histogram": found.histogram[None].astype("<i4"),
            "time": column(MAP, "time", [time_s]),
            "key": column(MAP, "key", [data["key"]]),
        },
    )


def _made_map(stream: ImageStream, path: str) -> Make:
    size = (len(stream.geometry.y_mm), len(stream.geometry.z_mm))
    pixels = dict.fromkeys(("T2", "T2_error", "amplitude", "mask", "cluster"), size)
    edges_ms = 1e3 * BINS
    return Make(
        path,
        MAP,
        fixed={"y": stream.geometry.y_mm, "z": stream.geometry.z_mm, "bin": 0.5 * (edges_ms[1:] + edges_ms[:-1])},
        shapes={**pixels, "histogram": (len(BINS) - 1,)},
        described={"": {"title": f"T2 map of {stream.name}"}},
    )


def _made(stream: ImageStream, data: Mapping[str, Any], size: tuple[int, ...], time: RunTime) -> list[Append]:
    named = {"title": f"{data['name']} ({data['nucleus']})", "acquisition": data["name"], "nucleus": data["nucleus"]}
    console = {name: data.get(name) for name in (*CONSOLE, "kind", "sequence")}
    encodes, points = size
    kspace = Make(
        stream.path,
        KSPACE,
        fixed={
            "pe": np.arange(encodes, dtype="<i4") - encodes // 2,
            "ro": (np.arange(points) - points // 2) / data["spectral_width_Hz"] * 1e3,
        },
        dtypes={"data": stream.dtype},
        shapes={"data": size, "row_start": (encodes,)},
        described={"": named, "data": console, "time": time.described, "t_start": time.described},
    )
    shown = Make(
        f"{SHOWN}/{stream.name}",
        IMAGE,
        fixed={"y": stream.geometry.y_mm, "z": stream.geometry.z_mm},
        shapes={"magnitude": size},
        described={"": named, "time": time.described},
    )
    return [kspace, shown]
