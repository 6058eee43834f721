# What a builder's unit may do: run a hypervisor on its own files, reach the network, and nothing else.
#
# Left open on purpose: memory that is written and executed (QEMU without KVM translates instructions), and, with
# shared directories, the namespaces in which virtiofsd locks itself up.
{ lib }:
builder: {
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
  ProcSubset = "all";
  ProtectClock = true;
  ProtectControlGroups = true;
  ProtectHome = if builder.sharedDirectories == { } then true else "read-only";
  ProtectHostname = true;
  ProtectKernelLogs = true;
  ProtectKernelModules = true;
  ProtectKernelTunables = true;
  ProtectProc = "invisible";
  ProtectSystem = "strict";
  ReadWritePaths = [
    builder.state
  ]
  ++ map (share: share.path) (lib.filter (share: !share.readOnly) (lib.attrValues builder.sharedDirectories));
  RemoveIPC = true;
  RestrictAddressFamilies = [
    "AF_INET"
    "AF_INET6"
    "AF_NETLINK"
    "AF_UNIX"
    "AF_VSOCK"
  ];
  RestrictNamespaces = if builder.sharedDirectories == { } then true else "user mnt pid net";
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
  ++ lib.optionals (builder.sharedDirectories != { }) [
    "@mount"
    "setgroups"
    "setresgid"
    "setresuid"
  ];
  UMask = "0077";
}
