"""Outbound messages by SMTP (port `Courier`): to a smarthost, or to the servers of the domain."""

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from weakref import WeakValueDictionary

from aiosmtplib import SMTPException
from aiosmtplib.errors import SMTPResponseException

from mailroom.adapters.smtp.connections import Connections, Link
from mailroom.adapters.smtp.envelope import address_to, begin, for_envelope
from mailroom.adapters.smtp.exchange import COMMAND_SECONDS, DOT_SECONDS, send_body
from mailroom.adapters.smtp.opening import Loop, NoLogin, NoTls, Opener, Terms
from mailroom.adapters.smtp.sites import Server, Site, Sites
from mailroom.adapters.smtp.verdicts import answered, response_of
from mailroom.models.outbound.config import OutboundSection
from mailroom.models.outbound.parcel import Parcel, Taken
from mailroom.models.outbound.routing import TlsPolicy
from mailroom.ports.outbound import Deferred, Refused

# Of how many servers "not now" about one message is heard before it waits; another may be
# willing (RFC 5321 §5.1), and all of a domain's usually agree.
MOST_ANSWERS = 2
# RFC 7504 §3: a server that never takes mail says so in the place of a greeting.
NEVER_TAKES_MAIL = 521
CLOSING = 421

LOST = (SMTPException, OSError, TimeoutError)


@dataclass
class _Letter:
    """What is handed over; `begun` once a server may get its dot: no other is asked then."""

    sender: str
    recipient: str
    data: bytes
    before_dot: Callable[[], Awaitable[None]]
    deadline: asyncio.Timeout
    begun: bool = False
    kept_back: BaseException | None = None

    async def marked(self) -> None:
        # From here the answer is waited for as long as RFC 5321 wants it.
        self.deadline.reschedule(None)
        self.begun = True
        try:
            await self.before_dot()
        except BaseException as error:
            self.kept_back = error
            raise


@dataclass
class _Problem:
    """Of several servers. One that may help later outweighs those that never will."""

    later: Deferred | None = None
    never: Refused | None = None

    def note(self, error: Refused | Deferred) -> None:
        if isinstance(error, Deferred):
            self.later = error
        else:
            self.never = error

    def worst(self, site: Site) -> Refused | Deferred:
        nothing = Deferred(f"4.4.1 No mail server of {site.name} could be tried.")
        return self.later or self.never or nothing


class SmtpCourier:
    def __init__(
        self,
        sites: Sites,
        section: OutboundSection,
        terms: Terms,
        verifying: ssl.SSLContext | None = None,
        dot_seconds: float = DOT_SECONDS,
    ) -> None:
        """The policy of `terms` is the site's in each case."""
        self._sites = sites
        self._section = section
        self._terms = terms
        self._opener = Opener(verifying)
        self._dot_seconds = dot_seconds
        # Those in use and those with idle connections are known to somebody else; others go.
        self._known: WeakValueDictionary[tuple[frozenset[str], TlsPolicy], Connections] = (
            WeakValueDictionary()
        )

    async def deliver(
        self, parcel: Parcel, data: bytes, before_dot: Callable[[], Awaitable[None]]
    ) -> Taken:
        # Bounces have no sender (RFC 5321 §4.5.5).
        sender = for_envelope(parcel.sender) if parcel.sender else ""
        recipient = for_envelope(parcel.recipient)
        site = await self._sites.site_of(parcel.destination)
        connections = self._connections(site)
        seconds = self._section.deadline.total_seconds()
        async with connections.one_of_few():
            try:
                async with asyncio.timeout(seconds) as deadline:
                    letter = _Letter(sender, recipient, data, before_dot, deadline)
                    return await self._send(site, connections, letter)
            except TimeoutError as error:
                if not deadline.expired():
                    raise
                slow = f"4.4.2 The mail servers of {site.name} did not have it in {seconds:g} s."
                raise Deferred(slow) from error

    def _connections(self, site: Site) -> Connections:
        return self._known.setdefault(site.key, Connections(self._section.connections))

    async def _send(self, site: Site, connections: Connections, letter: _Letter) -> Taken:
        while link := connections.take():
            if not await self._still_of_use(link, letter):
                continue
            try:
                return await self._offered(link, connections, letter)
            except Deferred as error:
                lost = error.response is None or error.response.code == CLOSING
                if letter.begun or not lost:
                    raise
        return await self._try_all(site, connections, letter)

    async def _still_of_use(self, link: Link, letter: _Letter) -> bool:
        """An idle connection is asked by the next envelope itself. What is wrong with it a new one
        will say: the server may have closed it meanwhile, or wants no more mail over it."""
        try:
            if link.unfinished:
                await link.smtp.rset(timeout=COMMAND_SECONDS)
            await begin(link.smtp, link.name, letter.sender, letter.recipient, letter.data)
        except LOST:
            link.smtp.close()
            return False
        except BaseException:
            link.smtp.close()
            raise
        return True

    async def _try_all(self, site: Site, connections: Connections, letter: _Letter) -> Taken:
        """RFC 5321 §5.1: the next server where one can't be used now. A refusal ends it."""
        answers, problem = 0, _Problem()
        for server in await self._sites.servers(site):
            try:
                link = await self._opened(server, site)
            except (Refused, Deferred) as error:
                problem.note(error)
                continue
            except Loop as error:
                # The servers that are no better would send it to us, too.
                problem.note(Refused(f"5.4.6 {error}."))
                break
            try:
                return await self._new(link, connections, letter)
            except Deferred as error:
                problem.note(error)
                answers += 1
            if letter.begun or answers == MOST_ANSWERS:
                break
        raise problem.worst(site)

    async def _opened(self, server: Server, site: Site) -> Link:
        """Raises `Loop`, too."""
        terms = replace(self._terms, policy=site.policy)
        try:
            return await self._opener.open(server, terms)
        except (NoTls, NoLogin) as error:
            raise Deferred(f"{error}.") from error
        except SMTPResponseException as error:
            never = error.code == NEVER_TAKES_MAIL
            raise answered(server.name, error, passing=not never) from error
        except LOST as error:
            reason = str(error) or type(error).__name__
            raise Deferred(f"4.4.1 {server.name} can't be used: {reason}.") from error

    async def _new(self, link: Link, connections: Connections, letter: _Letter) -> Taken:
        try:
            await begin(link.smtp, link.name, letter.sender, letter.recipient, letter.data)
        except SMTPResponseException as error:
            _put_back(link, connections, unfinished=True)
            raise answered(link.name, error) from error
        except LOST as error:
            link.smtp.close()
            raise _lost(link, error) from error
        except BaseException:
            link.smtp.close()
            raise
        return await self._offered(link, connections, letter)

    async def _offered(self, link: Link, connections: Connections, letter: _Letter) -> Taken:
        """The rest, after MAIL FROM."""
        smtp = link.smtp
        try:
            await address_to(smtp, letter.recipient)
            answer = await send_body(
                smtp, letter.data, letter.marked, name=link.name, dot_seconds=self._dot_seconds
            )
        except SMTPResponseException as error:
            _put_back(link, connections, unfinished=True)
            raise answered(link.name, error) from error
        except BaseException as error:
            smtp.close()
            if isinstance(error, LOST) and error is not letter.kept_back:
                raise _lost(link, error) from error
            raise
        _put_back(link, connections, unfinished=False)
        return Taken(response=response_of(answer.code, answer.message))


def _put_back(link: Link, connections: Connections, *, unfinished: bool) -> None:
    """A server that refused a message may like the next one; one that hung up is gone."""
    link.unfinished = unfinished
    if link.smtp.is_connected:
        connections.keep(link)
    else:
        link.smtp.close()


def _lost(link: Link, error: BaseException) -> Deferred:
    return Deferred(f"4.4.2 {link.name}: {str(error) or type(error).__name__}.")
