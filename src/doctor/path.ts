/** `/webhook` or `/webhook/NAME`. */
export function pathOf(endpoint: string): string {
  return endpoint === 'default' ? '/webhook' : `/webhook/${endpoint}`
}
