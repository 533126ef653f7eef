// Dispatches to the commands.

import Glibc

if CommandLine.arguments.dropFirst().first == "decode" {
    exit(runDecode(Array(CommandLine.arguments.dropFirst(2))))
}
