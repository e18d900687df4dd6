// A point that the pointer drags and the arrow keys move.

import { svg } from "../dom";
import type { Frame, Scale } from "./frame";

export interface Handle {
  element: SVGGElement;
  /** Where the handle is drawn now, in this frame. */
  place(frame: Frame, at: readonly [number, number], text: string): void;
}

/**
 * A handle in the plane. `moved` gets where it should go; the owner decides and calls `place`. Arrows move it by a
 * 200th of what is in sight, with Shift by a 20th; Home puts it back.
 */
export function handle(label: string, moved: (to: [number, number]) => void, home: () => void): Handle {
  const element = svg(
    "g",
    {
      class: "handle",
      tabindex: 0,
      role: "slider",
      "aria-label": label,
      "aria-roledescription": "point in the plane",
      "aria-describedby": "handle-help",
    },
    svg("circle", { r: 22, class: "handle-reach" }),
    svg("circle", { r: 11, class: "handle-ring" }),
    svg("path", { d: "M-6 0H6M0 -6V6", class: "handle-cross" }),
  );
  let now: { frame: Frame; at: readonly [number, number] } | undefined;

  const inside = (scale: Scale, value: number) => {
    const [low, high] = scale.domain() as [number, number];
    return Math.min(Math.max(value, low), high);
  };
  const move = (to: [number, number]) => {
    if (!now) return;
    const at: [number, number] = [inside(now.frame.x, to[0]), inside(now.frame.y, to[1])];
    // The next key may come before the next picture.
    now.at = at;
    moved(at);
  };

  element.addEventListener("pointerdown", (event) => {
    if (event.button !== 0) return;
    element.setPointerCapture(event.pointerId);
    element.focus();
    event.preventDefault();
  });
  element.addEventListener("pointermove", (event) => {
    if (!now || !element.hasPointerCapture(event.pointerId)) return;
    const matrix = now.frame.root.getScreenCTM();
    if (!matrix) return;
    const at = new DOMPoint(event.clientX, event.clientY).matrixTransform(matrix.inverse());
    move([now.frame.x.invert(at.x), now.frame.y.invert(at.y)]);
  });
  element.addEventListener("keydown", (event) => {
    if (!now || event.altKey || event.ctrlKey || event.metaKey) return;
    const directions: Record<string, [number, number]> = {
      ArrowLeft: [-1, 0],
      ArrowRight: [1, 0],
      ArrowUp: [0, 1],
      ArrowDown: [0, -1],
    };
    const direction = directions[event.key];
    if (event.key === "Home") home();
    else if (direction) {
      const [low, high] = now.frame.x.domain() as [number, number];
      const step = (high - low) * (event.shiftKey ? 0.05 : 0.005);
      move([now.at[0] + step * direction[0], now.at[1] + step * direction[1]]);
    } else return;
    event.preventDefault();
  });

  return {
    element,
    place(frame, at, text) {
      now = { frame, at };
      const [low, high] = frame.x.domain() as [number, number];
      element.setAttribute("transform", `translate(${frame.x(at[0])} ${frame.y(at[1])})`);
      element.setAttribute("aria-valuemin", String(low));
      element.setAttribute("aria-valuemax", String(high));
      element.setAttribute("aria-valuenow", String(at[0]));
      element.setAttribute("aria-valuetext", text);
    },
  };
}
