/** Extensions of saved files by media type. The names are fixed here: the remote side chooses no part of them. */
const EXTENSIONS: ReadonlyMap<string, string> = new Map(
  Object.entries({
    'application/json': '.json',
    'application/pdf': '.pdf',
    'application/zip': '.zip',
    'application/vnd.openxmlformats-officedocument.wordprocessingml.document': '.docx',
    'application/vnd.openxmlformats-officedocument.spreadsheetml.sheet': '.xlsx',
    'image/png': '.png',
    'image/jpeg': '.jpg',
    'image/webp': '.webp',
    'image/gif': '.gif',
    'image/tiff': '.tiff',
    'text/csv': '.csv',
    'text/plain': '.txt',
  }),
)

/** `image/png` → `.png`; empty for unknown types. */
export function extensionOf(contentType: string | null): string {
  const type = contentType?.split(';')[0]?.trim().toLowerCase() ?? ''
  return EXTENSIONS.get(type) ?? ''
}
