/**
 * - 'opening': the store has not said yet where to begin.
 * - 'joined': what the reader relays next is what comes next here.
 * - 'asking': something is missing, and the reader is asked for it.
 * - 'reading': the reader does not have it, so this tab reads it over a connection of its own.
 * - 'away': the page is in the back/forward cache or frozen.
 * - 'closed': it has ended.
 */
export type ViewState = 'opening' | 'joined' | 'asking' | 'reading' | 'away' | 'closed';

/**
 * - 'placed': it is known where to begin.
 * - 'next': an item that follows what was seen last.
 * - 'gap': an item that follows something that has not been seen.
 * - 'met': this tab has seen all up to where the reader is.
 * - 'more': the reader answers with some of what is missing.
 * - 'unknown': the reader does not have what is missing.
 * - 'reset': the source was reset; viewing goes on where the reset says.
 * - 'leave', 'return': the page goes away and comes back.
 * - 'close': the end.
 */
export type ViewEvent = 'placed' | 'next' | 'gap' | 'met' | 'more' | 'unknown' | 'reset' | 'leave' | 'return' | 'close';

/** The state after each event in each state. To enter 'asking' asks the reader, to leave 'reading' ends the connection. */
export const viewTransitions: Readonly<Record<ViewState, Readonly<Record<ViewEvent, ViewState>>>> = {
  opening: {
    placed: 'asking',
    next: 'opening',
    gap: 'opening',
    met: 'opening',
    more: 'opening',
    unknown: 'opening',
    reset: 'opening',
    leave: 'opening',
    return: 'opening',
    close: 'closed',
  },
  joined: {
    placed: 'joined',
    next: 'joined',
    gap: 'asking',
    met: 'joined',
    more: 'joined',
    unknown: 'joined',
    reset: 'asking',
    leave: 'away',
    return: 'asking',
    close: 'closed',
  },
  asking: {
    placed: 'asking',
    next: 'joined',
    // Asked already; the item is kept until what is before it has come.
    gap: 'asking',
    met: 'joined',
    more: 'asking',
    unknown: 'reading',
    reset: 'asking',
    leave: 'away',
    return: 'asking',
    close: 'closed',
  },
  reading: {
    placed: 'reading',
    // The relay has come to where this tab's own connection is.
    next: 'joined',
    gap: 'reading',
    met: 'joined',
    more: 'reading',
    unknown: 'reading',
    reset: 'asking',
    leave: 'away',
    return: 'asking',
    close: 'closed',
  },
  away: {
    placed: 'away',
    next: 'away',
    gap: 'away',
    met: 'away',
    more: 'away',
    unknown: 'away',
    reset: 'away',
    leave: 'away',
    return: 'asking',
    close: 'closed',
  },
  closed: {
    placed: 'closed',
    next: 'closed',
    gap: 'closed',
    met: 'closed',
    more: 'closed',
    unknown: 'closed',
    reset: 'closed',
    leave: 'closed',
    return: 'closed',
    close: 'closed',
  },
};
