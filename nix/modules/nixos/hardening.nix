# What a builder's unit may do: run a hypervisor on its own files, reach the network, and nothing else.
#
# Left open on purpose: memory that is written and executed (QEMU without KVM translates instructions), and, with
# shared directories or a guest that boots from the host's store, the namespaces in which virtiofsd locks itself up.
{ lib }:
builder:
let
  inherit (builder) settings;
  shares = lib.attrValues (settings.shares or { });
  sharing = shares != [ ] || settings ? system_path || settings.share_nix_store or false;
in
{
  CapabilityBoundingSet = "";
  AmbientCapabilities = "";
  DevicePolicy = "closed";
  DeviceAllow = [
    "/dev/kvm rw"
    "/dev/vhost-net rw"
    "/dev/vhost-vsock rw"
    "/dev/net/tun rw"
  ];
  LockPersonality = true;
  NoNewPrivileges = true;
  PrivateMounts = true;
  PrivateTmp = true;
  ProtectClock = true;
  ProtectControlGroups = true;
  ProtectHome = if sharing then "read-only" else true;
  ProtectHostname = true;
  ProtectKernelLogs = true;
  ProtectKernelModules = true;
  ProtectKernelTunables = true;
  ProtectProc = "invisible";
  ProtectSystem = "strict";
  # A directory that is not there is the supervisor's to complain of, by name.
  ReadWritePaths = [
    builder.state
  ]
  ++ map (share: "-${share.path}") (lib.filter (share: !(share.read_only or true)) shares);
  RemoveIPC = true;
  RestrictAddressFamilies = [
    "AF_INET"
    "AF_INET6"
    "AF_NETLINK"
    "AF_UNIX"
    "AF_VSOCK"
  ];
  RestrictNamespaces = if sharing then "user mnt pid net" else true;
  RestrictRealtime = true;
  RestrictSUIDSGID = true;
  SystemCallArchitectures = "native";
  SystemCallErrorNumber = "EPERM";
  SystemCallFilter = [
    "@system-service"
    "~@privileged"
    # setpriv, by which the hypervisor dies with the supervisor, sets what capabilities it has: none; QEMU and
    # virtiofsd lock themselves up further.
    "capset"
    "seccomp"
  ]
  ++ lib.optionals sharing [
    "@mount"
    "setgroups"
    "setresgid"
    "setresuid"
  ];
  UMask = "0077";
}
