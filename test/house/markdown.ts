/** A fenced block of code in a page. */
export interface CodeBlock {
  /** Line of the opening fence, from 1. */
  readonly line: number
  readonly code: string
  /** Whether `<!-- run -->` stands right before the block: the example is complete and is run. */
  readonly isRunnable: boolean
}

/** The blocks fenced as `ts`, in order. */
export const codeBlocks = (page: string): ReadonlyArray<CodeBlock> => {
  const lines = page.split("\n")
  const blocks: Array<CodeBlock> = []
  for (let index = 0; index < lines.length; index++) {
    if (lines[index]?.trimEnd() !== "```ts") continue
    const end = lines.indexOf("```", index + 1)
    if (end === -1) throw new Error(`the block that begins at line ${index + 1} has no end`)
    blocks.push({
      line: index + 1,
      code: lines.slice(index + 1, end).join("\n") + "\n",
      isRunnable: lines.slice(0, index).findLast((line) => line.trim() !== "")?.trim() === "<!-- run -->"
    })
    index = end
  }
  return blocks
}
