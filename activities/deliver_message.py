"""One attempt to deliver an outbound message, once (design: "Sending once")."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from random import uniform

from temporalio import activity
from temporalio.exceptions import ApplicationError, ApplicationErrorCategory

from activities.heartbeats import note
from mailroom.models.outbound import endings
from mailroom.models.outbound.bounces import BounceRule, classify
from mailroom.models.outbound.claim import Attempted, Claim
from mailroom.models.outbound.config import OutboundSection
from mailroom.models.outbound.message import DeliverInput, Outcome
from mailroom.models.outbound.parcel import Parcel
from mailroom.models.outbound.words import MessageQueueStatus
from mailroom.ports import Blobs, Permanent, SendMarkers, SendUnknown
from mailroom.ports.outbound import Busy, Courier, Deferred, MessageStore, Refused

BUSY_SECONDS = (0.5, 1.5)


def _as_submitted(parcel: Parcel) -> str:
    return parcel.sender


@dataclass(frozen=True)
class DeliverMessage:
    store: MessageStore
    markers: SendMarkers
    blobs: Blobs
    courier: Courier
    terms: OutboundSection
    rules: Sequence[BounceRule] = ()
    return_path: Callable[[Parcel], str] = _as_submitted

    @activity.defn
    async def deliver_message(self, request: DeliverInput) -> Outcome:
        if (known := await self.known(request)) is not None:
            # Before the claim: a queue that was closed meanwhile holds nothing that has left.
            return await self.written(known)
        claim = await self.store.claim(request)
        if claim.suppressed:
            return await self.written(endings.suppressed(request, claim, claim.suppressed))
        if claim.expired:
            return await self.written(endings.expired(request, claim))
        if claim.parcel is None:
            return _stands(claim)
        ended = await self.tried(request, claim, claim.parcel)
        note(ended)
        return await self.written(ended)

    async def known(self, request: DeliverInput) -> Attempted | None:
        """How this attempt ended, where an earlier try of the step could not write it down; unknown
        where a worker died between the dot and the answer."""
        if activity.info().attempt == 1:
            return None
        if details := activity.info().heartbeat_details:
            return Attempted.model_validate(details[0])
        marker = await self.markers.find(request.marker)
        if marker and marker.outcome is None:
            return endings.unknown(request, "The worker ended while it waited for the answer.")
        return None

    async def tried(self, request: DeliverInput, claim: Claim, parcel: Parcel) -> Attempted:
        try:
            return await self.handed_over(request, claim, parcel)
        except Busy as error:
            # Else nobody could stop what waits for a connection, for as long as there is none.
            await self.store.put_back(request)
            raise ApplicationError(
                f"{error}",
                type="Busy",
                next_retry_delay=timedelta(seconds=uniform(*BUSY_SECONDS)),  # noqa: S311
                category=ApplicationErrorCategory.BENIGN,
            ) from None
        except SendUnknown as error:
            return endings.unknown(request, str(error))
        except Refused as error:
            found = classify(error.response, str(error), self.rules)
            ended = endings.refused(request, str(error), error.response, found)
            return ended.model_copy(update={"of_domain": error.of_domain})
        except Deferred as error:
            found = classify(error.response, str(error), self.rules)
            ended = endings.deferred(
                request,
                claim,
                str(error),
                error.response,
                found,
                terms=self.terms,
                # Temporal's clock, by which the timer goes off.
                now=activity.info().started_time,
                retry_after=error.retry_after,
            )
            return ended.model_copy(update={"of_domain": error.of_domain})

    async def handed_over(self, request: DeliverInput, claim: Claim, parcel: Parcel) -> Attempted:
        blob = claim.blob
        if blob is None:
            raise Refused("The message has no content; supply it.")

        async def claim_marker() -> None:
            if not await self.markers.claim(request.marker, blob):
                raise SendUnknown("Another try of this attempt is under way.")

        try:
            data = await self.blobs.get(blob)
            sent = parcel.model_copy(update={"sender": self.return_path(parcel)})
            return endings.taken(request, await self.courier.deliver(sent, data, claim_marker))
        except (Refused, Deferred, Busy, SendUnknown):
            raise
        except Permanent as error:
            raise Refused(str(error)) from error

    async def written(self, ended: Attempted) -> Outcome:
        at = datetime.now(UTC)
        status = await self.store.attempted(ended)
        return Outcome(
            status=status,
            num_attempts=ended.attempt,
            next_attempt_at=ended.next_attempt_at,
            relayed=ended.relayed,
            # Also where another try of this attempt was first to say so.
            unknown=status is MessageQueueStatus.SUSPENDED,
            reason=ended.reason,
            at=at,
        )


def _stands(claim: Claim) -> Outcome:
    return Outcome(
        status=claim.status,
        num_attempts=claim.num_attempts,
        next_attempt_at=claim.next_attempt_at,
        held=claim.held is not None,
        relayed=claim.relayed,
        unknown=claim.status is MessageQueueStatus.SUSPENDED,
        reason=claim.held or claim.reason,
    )
