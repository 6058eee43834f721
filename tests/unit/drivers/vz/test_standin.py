"""The stand-in refuses what a Mac would refuse: without that, the contract tests would show nothing."""

from __future__ import annotations

import asyncio
import gc
import os
from collections.abc import Iterator

import pytest
from fakes.vz.foundation import NotThere
from fakes.vz.standin import StandIn
from fakes.vz.strict import OffQueue


@pytest.fixture
def standin() -> Iterator[StandIn]:
    made = StandIn("15.0")
    yield made
    made.end()


def vz(macos: str = "15.0", *, arm64: bool = True):  # type: ignore[no-untyped-def]
    return StandIn(macos, arm64=arm64).framework().virtualization


@pytest.mark.parametrize(
    "name", ["VZNATNetworkDeviceAttachment", "VZVirtioEntropyDeviceConfiguration", "VZEFIBootLoader"]
)
def test_alloc_init_raises_where_pyobjc_raises(name: str) -> None:
    kind = getattr(vz(), name)
    with pytest.raises(TypeError, match="NS_UNAVAILABLE"):
        kind.alloc().init()
    with pytest.raises(TypeError, match="NS_UNAVAILABLE"):
        kind()
    assert kind.new() is not None


def test_alloc_init_works_where_it_works() -> None:
    assert vz().VZVirtualMachineConfiguration.alloc().init() is not None


@pytest.mark.parametrize(
    "name", ["VZBootLoader", "VZVirtioSocketDevice", "VZLinuxBootLoader", "VZDiskImageStorageDeviceAttachment"]
)
def test_what_cannot_be_made_without_arguments_is_not(name: str) -> None:
    with pytest.raises(TypeError, match="NS_UNAVAILABLE"):
        getattr(vz(), name).new()


def test_an_unknown_selector_or_class_or_constant_is_not_there() -> None:
    module = vz()
    with pytest.raises(AttributeError, match="setCpuCount_"):
        module.VZVirtualMachineConfiguration.new().setCpuCount_(2)
    with pytest.raises(AttributeError, match="VZNothing"):
        _ = module.VZNothing
    with pytest.raises(AttributeError, match="initWithPath_"):
        module.VZLinuxBootLoader.alloc().initWithPath_("/x")


def test_what_is_newer_than_the_system_is_not_there() -> None:
    assert not hasattr(vz("14.5").VZGenericPlatformConfiguration, "isNestedVirtualizationSupported")
    assert hasattr(vz("15.0").VZGenericPlatformConfiguration, "isNestedVirtualizationSupported")
    assert not hasattr(vz("12.0"), "VZEFIBootLoader")
    assert not hasattr(vz("13.0").VZVirtualMachineConfiguration.new(), "validateSaveRestoreSupportWithError_")


def test_what_is_for_apple_silicon_is_not_on_intel() -> None:
    assert not hasattr(vz("26.0", arm64=False), "VZLinuxRosettaDirectoryShare")
    assert not hasattr(
        vz("26.0", arm64=False).VZVirtualMachineConfiguration.new(), "validateSaveRestoreSupportWithError_"
    )
    assert hasattr(vz("26.0"), "VZLinuxRosettaDirectoryShare")


@pytest.mark.parametrize(
    "call",
    [
        lambda machine: machine.setCPUCount_(),
        lambda machine: machine.setCPUCount_(2, 3),
        lambda machine: machine.setCPUCount_("2"),
        lambda machine: machine.setCPUCount_(-1),
        lambda machine: machine.setCPUCount_(True),
        lambda machine: machine.setMemorySize_(1.5),
        lambda machine: machine.setPlatform_(None),
        lambda machine: machine.setPlatform_("generic"),
        lambda machine: machine.setStorageDevices_("disks"),
        lambda machine: machine.setStorageDevices_([machine]),
        lambda machine: machine.validateWithError_(object()),
    ],
)
def test_arguments_of_the_wrong_number_or_type_are_refused(call) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(TypeError):
        call(vz().VZVirtualMachineConfiguration.new())


def test_nothing_can_be_kept_on_an_object_of_the_framework_by_mistake(standin: StandIn) -> None:
    with pytest.raises(NotThere):
        _ = standin.framework().foundation.NSURL.fileURLWithPath_("/x").lastPathComponent


def test_a_relative_path_is_no_url(standin: StandIn) -> None:
    with pytest.raises(AssertionError):
        standin.framework().url("disk.img")


def test_a_delegates_method_has_to_be_the_protocols(standin: StandIn) -> None:
    framework = standin.framework()
    protocol = framework.objc.protocolNamed("VZVirtualMachineDelegate")
    with pytest.raises(NotThere, match="guestDidPanic_"):
        type(framework.foundation.NSObject)(
            "Wrong", (framework.foundation.NSObject,), {"guestDidPanic_": lambda self, vm: None}, protocols=[protocol]
        )


def test_a_vm_is_touched_on_its_queue_only(standin: StandIn) -> None:
    framework = standin.framework()
    queue = framework.dispatch.dispatch_queue_create(b"q", None)
    vm = machine(standin, framework, queue)
    with pytest.raises(OffQueue):
        vm.state()
    with pytest.raises(OffQueue):
        vm.startWithCompletionHandler_(lambda error: None)
    assert standin.violations == [
        "VZVirtualMachine.state off its queue",
        "VZVirtualMachine.startWithCompletionHandler_ off its queue",
    ]


def machine(standin: StandIn, framework, queue):  # type: ignore[no-untyped-def]
    module = framework.virtualization
    configuration = module.VZVirtualMachineConfiguration.new()
    loader = module.VZLinuxBootLoader.alloc().initWithKernelURL_(framework.url("/kernel"))
    configuration.setBootLoader_(loader)
    configuration.setCPUCount_(1)
    configuration.setMemorySize_(1 << 29)
    handle = framework.handle(os.open(os.devnull, os.O_WRONLY))
    attachment = module.VZFileHandleSerialPortAttachment.alloc().initWithFileHandleForReading_fileHandleForWriting_(
        None, handle
    )
    port = module.VZVirtioConsoleDeviceSerialPortConfiguration.new()
    port.setAttachment_(attachment)
    configuration.setSerialPorts_([port])
    standin.objects.append(handle)
    return module.VZVirtualMachine.alloc().initWithConfiguration_queue_(configuration, queue)


async def test_a_handle_that_nobody_keeps_makes_the_configuration_invalid(standin: StandIn) -> None:
    framework = standin.framework()
    queue = framework.dispatch.dispatch_queue_create(b"q", None)
    machine(standin, framework, queue)
    configuration = standin.objects[0]
    standin.objects.clear()
    gc.collect()
    assert configuration.validateWithError_(None)[1].localizedDescription() == "A file handle has been closed."


async def test_a_delegate_that_nobody_keeps_hears_nothing(standin: StandIn) -> None:
    framework = standin.framework()
    queue = framework.dispatch.dispatch_queue_create(b"q", None)
    vm = machine(standin, framework, queue)
    protocol = framework.objc.protocolNamed("VZVirtualMachineDelegate")
    heard: list[str] = []
    kind = type(framework.foundation.NSObject)(
        "Mine",
        (framework.foundation.NSObject,),
        {"guestDidStopVirtualMachine_": lambda self, vm: heard.append("stop")},
        protocols=[protocol],
    )
    loop = asyncio.get_running_loop()

    async def on_queue(work) -> None:  # type: ignore[no-untyped-def]
        done = loop.create_future()
        framework.dispatch.dispatch_async(queue, lambda: (work(), loop.call_soon_threadsafe(done.set_result, None)))
        await done

    await on_queue(lambda: vm.setDelegate_(kind.alloc().init()))
    vm._ended()
    await on_queue(lambda: None)
    assert heard == []
    kept = kind.alloc().init()
    await on_queue(lambda: vm.setDelegate_(kept))
    vm._ended()
    await on_queue(lambda: None)
    assert heard == ["stop"]
