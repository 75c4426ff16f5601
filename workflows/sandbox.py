"""Where workflow code runs: Temporal's sandbox, with two costs taken out.

Our pure modules are passed through: re-importing them for every workflow costs a third more CPU
per mail. And nothing asks the sandbox for the context of a payload: the SDK enters it four times
for each, which took a fifth of the worker's main thread, for converters that know what is
serialized for whom. Ours serializes everything alike.
"""

from dataclasses import dataclass

from temporalio.bridge.proto.workflow_activation import WorkflowActivation
from temporalio.bridge.proto.workflow_completion import WorkflowActivationCompletion
from temporalio.converter import StorageDriverStoreContext
from temporalio.worker import WorkflowInstance, WorkflowInstanceDetails
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner, SandboxRestrictions
from temporalio.workflow import Info

PASSED_THROUGH = (
    "mailroom",
    "activities",
    "workflows.display",
    "workflows.failures",
    "workflows.letter_display",
    "workflows.letter_policies",
    "workflows.outbound_display",
    "workflows.outbound_policies",
    "workflows.retry_policies",
    "workflows.search_attributes",
    "pydantic",
    "pydantic_core",
    "annotated_types",
)


class _Sandbox(SandboxedWorkflowRunner):
    def create_instance(self, det: WorkflowInstanceDetails) -> WorkflowInstance:
        return _WithoutContexts(super().create_instance(det))


def sandbox() -> SandboxedWorkflowRunner:
    return _Sandbox(
        restrictions=SandboxRestrictions.default.with_passthrough_modules(*PASSED_THROUGH)
    )


@dataclass(frozen=True)
class _WithoutContexts(WorkflowInstance):
    """A workflow in its sandbox; a codec that wants contexts has to take this class away."""

    inside: WorkflowInstance

    def activate(self, act: WorkflowActivation) -> WorkflowActivationCompletion:
        return self.inside.activate(act)

    def get_serialization_context(self, command_info: object) -> None:
        return None

    def get_external_store_context(self, command_info: object) -> StorageDriverStoreContext:
        return StorageDriverStoreContext(target=None)

    def get_info(self) -> Info:
        return self.inside.get_info()

    def get_thread_id(self) -> int | None:
        return self.inside.get_thread_id()
