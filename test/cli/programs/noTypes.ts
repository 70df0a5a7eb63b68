/** A module without event types. */
export const answer = 42
