"""Presses that hold on a page which is drawn anew while somebody is about to press."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from ui.presses import press_in

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, Page

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("ui"), pytest.mark.timeout(120)]

_PAGE = """
<button onclick="toggle()">more</button><main></main>
<script>
  let opened = 0, pressed = 0;
  const main = document.querySelector("main");
  function toggle() {
    if (main.innerHTML) { main.innerHTML = ""; return; }
    main.innerHTML = `<a role="menuitem" aria-disabled="${false}" onclick="press(this)">again</a>`;
    opened += 1;
    if (opened <= LOST) requestAnimationFrame(() => requestAnimationFrame(() => { main.innerHTML = ""; }));
  }
  // The mouse comes too late: the entry is another one by then.
  main.addEventListener("mousemove", () => { if (opened <= LOST + 1) main.innerHTML = ""; });
  function press(entry) { if (entry.getAttribute("aria-disabled") !== "true") pressed += 1; main.innerHTML = ""; }
</script>
"""


@pytest.fixture
def blank(browser: Browser) -> Iterator[Page]:
    """A window that no server is behind."""
    page = browser.new_page()
    yield page
    page.close()


@pytest.mark.parametrize("lost", [0, 2])
def test_an_entry_of_a_menu_that_closes_by_itself_is_pressed_once(blank: Page, lost: int) -> None:
    """The menu is opened again as often as it is lost, and never pressed a second time."""
    blank.set_content(_PAGE.replace("LOST", str(lost)))
    press_in(blank.get_by_role("button", name="more"), blank.get_by_text("again"))
    assert blank.evaluate("pressed") == 1
