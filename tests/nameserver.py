"""A name server on loopback that knows the TXT records a test gives it."""

import socket
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdataclass
import dns.rdatatype
import dns.rrset

Zone = Mapping[str, Sequence[str]]
"""TXT records by name; a record of several strings has a tab between them."""


RecordsByType = Mapping[tuple[str, str], Sequence[str]]
"""Records of other types as in a zone file, by type and name: `("MX", "a.example")`."""


@contextmanager
def running_nameserver(
    zone: Zone, *, others: RecordsByType | None = None, rcode: dns.rcode.Rcode | None = None
) -> Iterator[str]:
    """Yields its address with its port. With `rcode` it answers every question so."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as endpoint:
        endpoint.bind(("127.0.0.1", 0))
        endpoint.settimeout(0.05)
        is_over = threading.Event()

        def serve() -> None:
            while not is_over.is_set():
                try:
                    question, asker = endpoint.recvfrom(4096)
                except TimeoutError:
                    continue
                endpoint.sendto(_answer(question, zone, others or {}, rcode), asker)

        thread = threading.Thread(target=serve, name="nameserver")
        thread.start()
        try:
            yield f"127.0.0.1:{endpoint.getsockname()[1]}"
        finally:
            is_over.set()
            thread.join()


def _answer(
    question: bytes, zone: Zone, others: RecordsByType, rcode: dns.rcode.Rcode | None
) -> bytes:
    query = dns.message.from_wire(question)
    response = dns.message.make_response(query)
    response.flags |= dns.flags.AA
    asked = query.question[0]
    name = asked.name.to_text(omit_final_dot=True)
    records = zone.get(name)
    kind = dns.rdatatype.to_text(asked.rdtype)
    if rcode is not None:
        response.set_rcode(rcode)
    elif (kind, name) in others:
        response.answer.append(
            dns.rrset.from_text_list(asked.name, 60, "IN", kind, others[kind, name])
        )
    elif records is None and any(known == name for _, known in others):
        pass  # the name is there, without records of this type
    elif records is None:
        response.set_rcode(dns.rcode.NXDOMAIN)
    elif asked.rdtype == dns.rdatatype.TXT and records:
        texts = [" ".join(f'"{string}"' for string in text.split("\t")) for text in records]
        response.answer.append(dns.rrset.from_text_list(asked.name, 60, "IN", "TXT", texts))
    return response.to_wire(max_size=65_535)
