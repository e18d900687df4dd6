// Where a chart is drawn: anew whenever its width changes, so that its text keeps its size.

export interface Host {
  redraw(): void;
}

export function host(element: HTMLElement, draw: (width: number) => SVGSVGElement | undefined): Host {
  let width = 0;
  let current: SVGSVGElement | undefined;
  const redraw = () => {
    if (width === 0) return;
    const next = draw(width);
    if (next && current) current.replaceWith(next);
    else if (next) element.prepend(next);
    else current?.remove();
    current = next;
  };
  new ResizeObserver(() => {
    const now = Math.round(element.clientWidth);
    if (now === width) return;
    width = now;
    redraw();
  }).observe(element);
  return { redraw };
}
