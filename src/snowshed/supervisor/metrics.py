"""A builder's figures as Prometheus reads them: its text format, by its rules for names (base units, ``_total``).

https://prometheus.io/docs/practices/naming/ and https://prometheus.io/docs/instrumenting/exposition_formats/. The
library is imported when somebody asks for the first time: most builders are never asked.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from ..model.lifecycle import State
from ..model.wire import Sample
from .tally import Tally

if TYPE_CHECKING:
    from prometheus_client import Metric


def text(sample: Sample, tally: Tally) -> str:
    """All figures, in the text format."""
    from prometheus_client import CollectorRegistry, generate_latest

    class Figures:
        def collect(self) -> Iterator[Metric]:
            return _families(sample, tally)

    registry = CollectorRegistry(auto_describe=False)
    registry.register(Figures())
    return generate_latest(registry).decode()


def content_type() -> str:
    """What `text` is, for HTTP."""
    from prometheus_client import CONTENT_TYPE_LATEST

    return CONTENT_TYPE_LATEST


def _families(sample: Sample, tally: Tally) -> Iterator[Metric]:
    from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

    report, name = sample.report, sample.report.name
    about = {"version": report.version, "system": report.system, "driver": report.driver}
    info = GaugeMetricFamily("snowshed_builder_info", "What the builder is.", labels=["builder", *about])
    info.add_metric([name, *about.values()], 1)
    yield info
    states = GaugeMetricFamily("snowshed_state", "1 for the state that the builder is in.", labels=["builder", "state"])
    for state in State:
        states.add_metric([name, state], float(report.state == state))
    yield states
    for family, help_, value in _gauges(sample):
        if value is not None:
            gauge = GaugeMetricFamily(f"snowshed_{family}", help_, labels=["builder"])
            gauge.add_metric([name], value)
            yield gauge
    for family, help_, value in _counters(sample, tally):
        if value is not None:
            counter = CounterMetricFamily(f"snowshed_{family}", help_, labels=["builder"])
            counter.add_metric([name], value)
            yield counter
    traffic = CounterMetricFamily("snowshed_traffic_bytes", "SSH that was forwarded.", labels=["builder", "direction"])
    traffic.add_metric([name, "to_guest"], sample.to_guest)
    traffic.add_metric([name, "from_guest"], sample.from_guest)
    yield traffic
    yield _wakes(name, tally)


def _gauges(sample: Sample) -> Iterator[tuple[str, str, float | None]]:
    report = sample.report
    disk, memory, idle = report.disk, report.memory, report.idle
    yield "connections_open", "Connections to the guest.", report.connections
    yield "connections_waiting", "Connections that wait for the guest.", report.held
    yield "builds_running", "Builds that run in the guest.", None if sample.builds is None else len(sample.builds)
    yield "cores", "Processor cores of the guest.", report.cores
    yield "memory_size_bytes", "Memory of the guest.", memory.configured if memory else None
    yield "memory_resident_bytes", "Memory that the hypervisor holds of the host.", memory.resident if memory else None
    yield (
        "memory_available_bytes",
        "Memory that programs in the guest could still get.",
        memory.guest_free if memory else None,
    )
    yield "disk_size_bytes", "What the data disk may become.", disk.virtual if disk else None
    yield "disk_allocated_bytes", "What the data disk takes of the host.", disk.allocated if disk else None
    yield "disk_used_bytes", "What the guest's file system uses of it.", disk.used if disk else None
    yield "idle_remaining_seconds", "Until it is put to rest.", idle.remaining if idle else None
    yield "guest_start_time_seconds", "When the guest was started, since the epoch.", report.started_at


def _counters(sample: Sample, tally: Tally) -> Iterator[tuple[str, str, float | None]]:
    entered = tally.entered
    yield "connections", "Connections that reached the guest.", sample.served
    yield "starts", "Boots that were begun.", entered[State.STARTING]
    yield "suspends", "Times that its memory was written to disk.", entered[State.SUSPENDED]
    yield "pauses", "Times that its processors were stopped.", entered[State.PAUSED]
    yield "failures", "Times that an operation failed or the guest ended by itself in an error.", entered[State.FAILED]
    yield "derivations_built", "Derivations that were ever built on its disk, failed ones included.", sample.built
    yield "processor_seconds", "Processor time of the host that the running guest has used.", sample.processor


def _wakes(name: str, tally: Tally) -> Metric:
    from prometheus_client.core import HistogramMetricFamily

    wakes = HistogramMetricFamily(
        "snowshed_wake_duration_seconds",
        "From the wish for the guest until clients are let in.",
        labels=["builder", "how"],
    )
    for how, durations in tally.wakes.items():
        wakes.add_metric([name, how], buckets=durations.cumulative(), sum_value=durations.total)
    return wakes
