/** Calls `draw` at most once a frame, however often it is asked for, and once a second while the page is hidden. */
export function perFrame(draw: () => void): () => void {
  let asked = false;
  const now = () => {
    asked = false;
    draw();
  };
  return () => {
    if (asked) return;
    asked = true;
    if (document.visibilityState === 'visible') requestAnimationFrame(now);
    else setTimeout(now, 1000);
  };
}
