/**
 * What a statement changes about the channels its session listens to.
 *
 * @since 0.1.0
 */
import { Buffer } from "node:buffer"

/** A change of the set of channels; without a channel it is about all of them. */
export interface ListenCommand {
  readonly action: "listen" | "unlisten"
  readonly channel: string | undefined
}

/**
 * Reads `LISTEN c`, `UNLISTEN c`, `UNLISTEN *` and `DISCARD ALL`; any other
 * statement is `undefined`.
 *
 * **Details**
 *
 * Comments may stand anywhere; an unquoted channel is folded to lower case and
 * every channel is cut to 63 bytes, as the server does.
 */
export const parseListenCommand = (sql: string): ListenCommand | undefined => {
  const match = COMMAND.exec(sql)
  const groups = match?.groups
  if (groups === undefined) return undefined
  if (groups["discard"] !== undefined) return { action: "unlisten", channel: undefined }
  const action = groups["action"]?.toLowerCase() === "listen" ? "listen" : "unlisten"
  if (groups["all"] !== undefined) return action === "unlisten" ? { action, channel: undefined } : undefined
  const channel = groups["quoted"] === undefined
    ? groups["plain"]?.replace(/[A-Z]/g, (letter) => letter.toLowerCase())
    : groups["quoted"].replaceAll("\"\"", "\"")
  return channel === undefined ? undefined : { action, channel: truncate(channel) }
}

/** Applies the changes of one session, in order, to the set it listens to. */
export const applyListenCommands = (channels: Set<string>, commands: Iterable<ListenCommand>): void => {
  for (const { action, channel } of commands) {
    if (channel === undefined) channels.clear()
    else if (action === "listen") channels.add(channel)
    else channels.delete(channel)
  }
}

/** The statement for one change, with its channel quoted. */
export const renderListenCommand = ({ action, channel }: ListenCommand): string =>
  `${action.toUpperCase()} ${channel === undefined ? "*" : `"${channel.replaceAll("\"", "\"\"")}"`};`

// internal

/** Bytes of a name that the server keeps: NAMEDATALEN - 1. */
const NAME_SIZE_BYTES_MAX = 63

/** Space and comments; a block comment inside another is not read, and then the statement is none of ours. */
const GAP = String.raw`(?:\s|--[^\n]*(?:\n|$)|/\*[^*]*\*+(?:[^/*][^*]*\*+)*/)`

const COMMAND = new RegExp(
  String.raw`^${GAP}*(?:(?<action>listen|unlisten)${GAP}*` +
    String.raw`(?:"(?<quoted>(?:[^"]|"")+)"|(?<=[\s/])(?<plain>[\p{L}_][\p{L}\p{N}_$]*)|(?<all>\*))` +
    String.raw`|(?<discard>discard${GAP}+all))${GAP}*;?${GAP}*$`,
  "iu"
)

const truncate = (name: string): string => {
  const bytes = Buffer.from(name, "utf8")
  if (bytes.length <= NAME_SIZE_BYTES_MAX) return name
  let end = NAME_SIZE_BYTES_MAX
  while (end > 0 && ((bytes[end] ?? 0) & 0xc0) === 0x80) end--
  return bytes.toString("utf8", 0, end)
}
