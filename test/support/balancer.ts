import { connect, createServer, type Socket } from 'node:net'

/** Spreads connections over servers on these ports of 127.0.0.1, as a load balancer does that notices who is there. */
export async function startBalancer(
  ports: readonly number[],
): Promise<{ readonly port: number; stop(): Promise<void> }> {
  let turn = 0
  const open = new Set<Socket>()

  function dial(client: Socket, left: number): void {
    const upstream = connect(ports[turn++ % ports.length]!, '127.0.0.1')
    upstream.once('connect', () => {
      client.pipe(upstream)
      upstream.pipe(client)
    })
    upstream.once('error', () => {
      if (upstream.connecting || upstream.bytesRead > 0 || left === 0) client.destroy()
      else dial(client, left - 1)
    })
    upstream.once('close', () => upstream.bytesRead > 0 && client.destroy())
    client.once('close', () => upstream.destroy())
  }

  const server = createServer((client) => {
    open.add(client)
    client.on('error', () => {})
    client.once('close', () => open.delete(client))
    dial(client, ports.length - 1)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    port: (server.address() as { port: number }).port,
    async stop() {
      for (const client of open) client.destroy()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}
