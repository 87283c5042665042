const key = 'tidemark-sync-offline';

/** A switch that all tabs of this browser share, as they share a network. */
export class OfflineSwitch {
  readonly #onChange: (offline: boolean) => void;

  constructor(onChange: (offline: boolean) => void) {
    this.#onChange = onChange;
    // Other tabs hear of it; the one that sets it does not.
    addEventListener('storage', (event) => {
      if (event.key === key) onChange(this.offline);
    });
  }

  get offline(): boolean {
    return localStorage.getItem(key) !== null;
  }

  set(offline: boolean): void {
    if (offline) localStorage.setItem(key, 'yes');
    else localStorage.removeItem(key);
    this.#onChange(offline);
  }
}
