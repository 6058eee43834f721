"""Another host, as far as ssh can tell: an SSH server on a port of the loopback that runs commands as whoever runs it.

``python other_host.py PORT HOST_KEY AUTHORIZED_KEYS PATH``; it says ``listening`` once it does. Connections may be
forwarded to the loopback, which is what ssh's ``ProxyJump`` asks for.
"""

from __future__ import annotations

import asyncio
import os
import sys

import asyncssh


class Server(asyncssh.SSHServer):
    """Everybody with the key is us; ports of the loopback may be reached."""

    def connection_requested(self, dest_host: str, dest_port: int, orig_host: str, orig_port: int) -> bool:
        return dest_host in ("127.0.0.1", "localhost")


async def run(process: asyncssh.SSHServerProcess[bytes], path: str) -> None:
    environment = {"HOME": os.environ["HOME"], "PATH": path}
    child = await asyncio.create_subprocess_shell(
        process.command or "true", env=environment, stdin=asyncio.subprocess.PIPE, stdout=-1, stderr=-1
    )
    await process.redirect(child.stdin, child.stdout, child.stderr)
    process.exit(await child.wait())
    await process.wait_closed()


async def serve(port: int, host_key: str, authorized_keys: str, path: str) -> None:
    server = await asyncssh.listen(
        "127.0.0.1",
        port,
        server_factory=Server,
        server_host_keys=[host_key],
        authorized_client_keys=authorized_keys,
        process_factory=lambda process: run(process, path),
        encoding=None,
    )
    print("listening", flush=True)
    await server.wait_closed()


if __name__ == "__main__":
    number, *words = sys.argv[1:]
    asyncio.run(serve(int(number), *words))
