# Options of one builder: what Nix on the host is told of it, and what its own Nix does.
{ lib, name }:
let
  inherit (lib) mkOption types;
in
{
  hostName = mkOption {
    type = types.str;
    default = "snowshed-${name}";
    defaultText = lib.literalExpression ''"snowshed-<name>"'';
    example = "linux-builder";
    description = "The name by which Nix and ssh know the builder.";
  };

  maxJobs = mkOption {
    type = types.nullOr types.ints.positive;
    default = null;
    example = 4;
    description = ''
      Builds that Nix gives the builder at once. `null`: as many as it has cores. With one, Nix waits
      `build-poll-interval` between any two builds.
    '';
  };

  speedFactor = mkOption {
    type = types.ints.positive;
    default = 1;
    description = "How fast the builder is in comparison with others. Nix prefers the higher.";
  };

  protocol = mkOption {
    type = types.enum [
      "ssh-ng"
      "ssh"
    ];
    default = "ssh-ng";
    description = "The protocol that Nix speaks with the builder.";
  };

  supportedFeatures = mkOption {
    type = types.nullOr (types.listOf types.str);
    default = null;
    example = [
      "benchmark"
      "big-parallel"
    ];
    description = ''
      Features that Nix is told of. `null`: all that the builder has. `kvm` is left out as long as the running guest
      has no virtualisation, whatever is written here.
    '';
  };

  mandatoryFeatures = mkOption {
    type = types.listOf types.str;
    default = [ ];
    example = [ "big-parallel" ];
    description = "Features that a derivation must ask for to be built here.";
  };

  substituters = mkOption {
    type = types.nullOr (types.listOf types.str);
    default = null;
    description = "Binary caches that the guest asks. `null`: its own default where it has a network, else none.";
  };

  trustedPublicKeys = mkOption {
    type = types.nullOr (types.listOf types.str);
    default = null;
    description = "Keys that the guest trusts binary caches by. `null`: its own default.";
  };

  caBundle = mkOption {
    type = types.nullOr types.str;
    default = null;
    example = "/etc/ssl/certs/ca-certificates.crt";
    description = ''
      Certificates that the guest's Nix trusts instead of its own, such as the host's: a file on the host, which is read at
      every start.
    '';
  };

  netrc = mkOption {
    type = types.nullOr types.str;
    default = null;
    example = "/etc/nix/netrc";
    description = ''
      Passwords for binary caches: a file on the host, which the builders' user can read. In the guest only root can.
    '';
  };

  proxy = mkOption {
    type = types.nullOr types.str;
    default = null;
    example = "http://proxy.example:3128";
    description = "The proxy for what the guest's Nix downloads, by an address that the guest reaches.";
  };

  noProxy = mkOption {
    type = types.nullOr types.str;
    default = null;
    example = "localhost,.example";
    description = "Hosts that are reached without the proxy.";
  };

  minFree = mkOption {
    type = types.str;
    default = "5GiB";
    description = "Free space on the data disk below which the guest collects garbage, as soon as nobody builds.";
  };

  maxFree = mkOption {
    type = types.str;
    default = "7GiB";
    description = "Free space at which it stops collecting.";
  };

  allowUserSsh = mkOption {
    type = types.bool;
    default = false;
    description = ''
      Whether every user of the host may `ssh` into the guest, and not root alone. Whoever may is a trusted user of the
      guest's Nix, and so decides what it builds.
    '';
  };
}
