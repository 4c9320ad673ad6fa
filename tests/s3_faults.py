"""What can go wrong between us and S3, each a function of one exchange, and schedules of it by seed."""

import random
import time
from collections.abc import Mapping
from dataclasses import replace

from tests.s3_proxy import LONGEST_HANG_S, Fault, honest, refusal

DRIP_S = 0.05

# --- faults: it never arrived


def refused(status, code):
    """S3 answers so and does nothing."""

    def fault(exchange):
        exchange.answer(refusal(status, code))

    return fault


def lost(exchange):
    """The connection is reset before S3 saw the request."""
    exchange.reset()


def stalled(exchange):
    """Nothing arrives and nothing is answered."""
    exchange.hang()
    exchange.close()


def corrupted_upload(exchange):
    """A bit of the body is turned on its way; what has no body arrives as it is."""
    body = exchange.asked.body
    exchange.answer(exchange.forward(replace(exchange.asked, body=_flipped(body))))


# --- faults: it was done, and the answer suffers


def late(exchange):
    """It arrives when the client has given up waiting."""
    exchange.hang()
    exchange.forward()
    exchange.close()


def done_and_reset(exchange):
    """The answer is lost."""
    exchange.forward()
    exchange.reset()


def done_and_stalled(exchange):
    """The answer never comes."""
    exchange.forward()
    exchange.hang()
    exchange.close()


def done_and_refused(status, code):
    """S3 did it and says that it did not."""

    def fault(exchange):
        exchange.forward()
        exchange.answer(refusal(status, code))

    return fault


def reset_midway(exchange):
    """The answer breaks off with a reset."""
    wire = exchange.forward().wire()
    exchange.send(wire[: -_half_of_the_end(wire)])
    exchange.reset()


def truncated(exchange):
    """The answer ends early, in good order."""
    wire = exchange.forward().wire()
    exchange.send(wire[: -_half_of_the_end(wire)])
    exchange.close()


def shortened(exchange):
    """Half of the body, with headers that fit."""
    answer = exchange.forward()
    body = answer.body[: len(answer.body) // 2]
    exchange.answer(replace(answer, body=body, length=len(body) if answer.body else answer.length))


def corrupted(exchange):
    """A bit of the body is turned on its way back."""
    answer = exchange.forward()
    exchange.answer(replace(answer, body=_flipped(answer.body)))


def miscounted(exchange):
    """A digit in the body is another one: JSON and XML stay well-formed."""
    answer = exchange.forward()
    digits = [place for place, byte in enumerate(answer.body) if 0x30 <= byte <= 0x39]
    if not digits:
        return exchange.answer(answer)
    place = digits[len(digits) // 2]
    digit = bytes([0x30 + (answer.body[place] - 0x30 + 1) % 10])
    return exchange.answer(replace(answer, body=answer.body[:place] + digit + answer.body[place + 1 :]))


def wrong_etag(exchange):
    """The ETag is that of nothing."""
    answer = exchange.forward()
    headers = tuple((name, f'"{"0" * 32}"' if name.lower() == "etag" else value) for name, value in answer.headers)
    exchange.answer(replace(answer, headers=headers))


def stalled_midway(exchange):
    """Half of the answer, then nothing."""
    wire = exchange.forward().wire()
    exchange.send(wire[: -_half_of_the_end(wire)])
    exchange.hang()
    exchange.close()


def dripping(exchange):
    """The answer byte by byte: no wait between two of them is long."""
    wire = exchange.forward().wire()
    end = time.monotonic() + LONGEST_HANG_S
    for place in range(len(wire)):
        exchange.send(wire[place : place + 1])
        if time.monotonic() > end:
            return exchange.close()
        time.sleep(DRIP_S)
    return None


FAULTS: Mapping[str, Fault] = {
    "500": refused(500, "InternalError"),
    "503": refused(503, "SlowDown"),
    "clock": refused(403, "RequestTimeTooSkewed"),
    "lost": lost,
    "stalled": stalled,
    "corrupted upload": corrupted_upload,
    "late": late,
    "done, reset": done_and_reset,
    "done, stalled": done_and_stalled,
    "done, 500": done_and_refused(500, "InternalError"),
    "done, 503": done_and_refused(503, "SlowDown"),
    "reset midway": reset_midway,
    "truncated": truncated,
    "shortened": shortened,
    "corrupted": corrupted,
    "miscounted": miscounted,
    "wrong ETag": wrong_etag,
    "stalled midway": stalled_midway,
    "dripping": dripping,
}
WEIGHTS = [1 if name == "dripping" else 4 for name in FAULTS]


def schedule(seed):
    """Faults by the seed and the request alone, whatever thread asks first: a seed that fails can be run again."""
    rate = random.Random(f"{seed}").choice((0.05, 0.1, 0.2, 0.4))

    def fault_of(asked):
        dice = random.Random(f"{seed} {asked.method} {asked.name} {asked.number}")
        if dice.random() >= rate:
            return honest
        return FAULTS[dice.choices(list(FAULTS), WEIGHTS)[0]]

    return fault_of


def _flipped(body):
    middle = len(body) // 2
    return body[:middle] + bytes([body[middle] ^ 1]) + body[middle + 1 :] if body else body


def _half_of_the_end(wire):
    """How many bytes to leave out: half of the body, or of the headers where there is no body."""
    head, _, body = wire.partition(b"\r\n\r\n")
    return max(1, len(body or head) // 2)
