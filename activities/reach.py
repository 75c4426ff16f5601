"""The ways to an agent that is not connected: its terminal, a webhook, a command."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from mailroom.models.agent_handling import Mailbox
from mailroom.models.agent_mail import Channel, Letter
from mailroom.models.nudges import batch_line, nudge_line, read_command
from mailroom.ports import Blobs, Permanent, Transient
from mailroom.ports.letters import LetterCommands, LetterWebhooks, Nudges


@dataclass(frozen=True)
class Reach:
    """`secrets` are the webhooks' by the name of their variable."""

    nudges: Nudges
    webhooks: LetterWebhooks
    commands: LetterCommands
    blobs: Blobs
    secrets: Mapping[str, str]

    async def terminal(self, mailbox: Mailbox) -> str | None:
        """The tmux session that is alive, if one is."""
        return await self.nudges.first_alive(mailbox.tmux_sessions)

    async def reachable(self, mailboxes: Sequence[Mailbox]) -> list[str]:
        """Addresses of those that take letters without a session, or can be told of them."""
        try:
            alive = await self.nudges.alive(
                {each for box in mailboxes for each in box.tmux_sessions}
            )
        except Transient:
            alive = set()
        return [
            box.address
            for box in mailboxes
            if box.webhook or box.command or not alive.isdisjoint(box.tmux_sessions)
        ]

    async def interrupt(self, terminal: str, letter: Letter) -> None:
        line = nudge_line(letter.sender, letter.subject, letter.id, letter.priority)
        await self.nudges.nudge(terminal, line)

    async def has_interrupted(self, terminal: str, letter: Letter) -> bool:
        """Whether its line is to be seen there."""
        return await self.nudges.has_shown(terminal, read_command(letter.id))

    async def notify(self, terminal: str, letters: Sequence[Letter]) -> None:
        """One line, however many letters wait."""
        if len(letters) == 1:
            await self.interrupt(terminal, letters[0])
        else:
            await self.nudges.nudge(terminal, batch_line([each.priority for each in letters]))

    async def hand_over(self, mailbox: Mailbox, letters: Sequence[Letter]) -> Channel | None:
        """By webhook or command, as the recipient wants it; None if it wants neither."""
        if mailbox.webhook and mailbox.webhook_secret_env:
            secret = self.secrets.get(mailbox.webhook_secret_env)
            if secret is None:
                raise Permanent(f"{mailbox.webhook_secret_env} is not set; it signs the webhook.")
            whole = [await self.with_body(each) for each in letters]
            await self.webhooks.deliver(mailbox.webhook, secret, whole, mailbox.address)
            return Channel.WEBHOOK
        if mailbox.command:
            for each in letters:
                await self.commands.deliver(mailbox.command, await self.with_body(each))
            return Channel.COMMAND
        return None

    async def with_body(self, letter: Letter) -> Letter:
        if letter.body is not None or letter.blob is None:
            return letter
        body = (await self.blobs.get(letter.blob)).decode()
        return letter.model_copy(update={"body": body})
