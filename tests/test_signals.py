"""The wake-ups behind live views."""

import asyncio
import gc
import threading
import time
import tracemalloc

from assistant.signals import Signals
from assistant.types.value import SessionId

ONE = SessionId("one")
OTHER = SessionId("other")


def test_a_waiter_wakes_when_another_thread_notifies() -> None:
    signals = Signals()

    async def scene() -> tuple[bool, float]:
        began = time.monotonic()
        threading.Timer(0.05, signals.notify, [ONE]).start()
        return await signals.wait(ONE, 5), time.monotonic() - began

    woke, seconds = asyncio.run(scene())
    assert woke
    assert seconds < 1


def test_a_waiter_is_told_that_nothing_came() -> None:
    signals = Signals()
    assert asyncio.run(signals.wait(ONE, 0.01)) is False


def test_another_session_wakes_nobody_but_the_one_who_listens_to_all() -> None:
    signals = Signals()

    async def scene() -> list[bool]:
        waits = asyncio.gather(signals.wait(ONE, 0.1), signals.wait(OTHER, 0.1), signals.wait_any(0.1))
        await asyncio.sleep(0)
        signals.notify(OTHER)
        return list(await waits)

    assert asyncio.run(scene()) == [False, True, True]


def test_every_waiter_of_a_session_wakes() -> None:
    signals = Signals()

    async def scene() -> list[bool]:
        waits = asyncio.gather(*(signals.wait(ONE, 2) for _ in range(50)))
        await asyncio.sleep(0)
        signals.notify(ONE)
        return await waits

    assert all(asyncio.run(scene()))


def test_news_between_reading_and_waiting_is_not_missed() -> None:
    signals = Signals()

    async def scene() -> list[bool]:
        with signals.listen(ONE) as news:
            signals.notify(ONE)  # committed after the read, before the wait
            first = await news.wait(1)
            return [first, await news.wait(0.01)]

    assert asyncio.run(scene()) == [True, False]


def test_waiters_in_two_event_loops_both_wake() -> None:
    signals = Signals()
    woke: list[bool] = []
    threads = [threading.Thread(target=lambda: woke.append(asyncio.run(signals.wait(ONE, 5)))) for _ in range(2)]
    for thread in threads:
        thread.start()
    while signals.waiting < 2:
        time.sleep(0.001)
    signals.notify(ONE)
    for thread in threads:
        thread.join()
    assert woke == [True, True]


def test_notifying_a_waiter_whose_loop_has_closed_is_harmless() -> None:
    signals = Signals()

    async def begin() -> None:
        listening = signals.listen(ONE)
        listening.__enter__()
        kept.append(listening)

    kept: list[object] = []
    asyncio.run(begin())
    signals.notify(ONE)
    assert signals.waiting == 1


def test_a_cancelled_waiter_is_cleaned_up() -> None:
    signals = Signals()

    async def scene() -> None:
        task = asyncio.create_task(signals.wait(ONE, 60))
        await asyncio.sleep(0)
        assert signals.waiting == 1
        task.cancel()
        await asyncio.wait([task])

    asyncio.run(scene())
    assert signals.waiting == 0


def test_ten_thousand_waits_leave_nothing_behind() -> None:
    signals = Signals()

    async def waits(count: int) -> None:
        for number in range(count):
            session = SessionId(f"s{number}")
            with signals.listen(session) as news:
                if number % 2:
                    signals.notify(session)
                    assert await news.wait(1)
                else:
                    assert not await news.wait(0)

    asyncio.run(waits(100))
    gc.collect()
    tracemalloc.start()
    asyncio.run(waits(10_000))
    gc.collect()
    left, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert signals.waiting == 0
    assert left < 100_000
