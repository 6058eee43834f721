# How ssh, and Nix through it, reach a builder: the same block as src/snowshed/ssh/config.py writes, with the host key
# pinned by a file that root owns. A pure function.
{ lib }:
{
  builder,
  key,
  knownHosts,
}:
let
  options = {
    HostName = "127.0.0.1";
    Port = toString builder.port;
    User = "builder";
    IdentityFile = ''"${key}"'';
    IdentitiesOnly = "yes";
    IdentityAgent = "none";
    PreferredAuthentications = "publickey";
    BatchMode = "yes";
    HostKeyAlias = builder.hostName;
    GlobalKnownHostsFile = ''"${knownHosts}"'';
    UserKnownHostsFile = "/dev/null";
    StrictHostKeyChecking = "yes";
    UpdateHostKeys = "no";
    ConnectTimeout = "600";
    ControlMaster = "no";
    ControlPath = "none";
    ServerAliveInterval = "60";
    ServerAliveCountMax = "5";
    ForwardAgent = "no";
    ForwardX11 = "no";
  };
in
''
  Host ${builder.hostName}
''
+ lib.concatStrings (lib.mapAttrsToList (name: value: "  ${name} ${value}\n") options)
