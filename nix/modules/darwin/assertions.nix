# What cannot be on macOS: the neighbours.
{ config, lib, ... }:
let
  cfg = config.services.snowshed;
  builders = lib.attrValues cfg.described;
  enabled = path: lib.attrByPath (path ++ [ "enable" ]) false config;

  # nix-darwin's and Determinate's builder of nixpkgs listen on this port, under names that can be set.
  neighbours = lib.filter (n: n.enabled) [
    {
      option = "nix.linux-builder";
      enabled = enabled [ "nix" "linux-builder" ];
      name = "linux-builder";
      port = 31022;
    }
    {
      option = "determinateNix.nixosVmBasedLinuxBuilder";
      enabled = enabled [ "determinateNix" "nixosVmBasedLinuxBuilder" ];
      name = lib.attrByPath [ "determinateNix" "nixosVmBasedLinuxBuilder" "hostName" ] "" config;
      port = 31022;
    }
    {
      option = "nix-rosetta-builder";
      enabled = enabled [ "nix-rosetta-builder" ];
      name = "rosetta-builder";
      port = lib.attrByPath [ "nix-rosetta-builder" "port" ] 31122 config;
    }
  ];

  beside = n: b: [
    {
      assertion = b.port != n.port;
      message =
        "services.snowshed.builders.${b.name}: port ${toString b.port} is that of ${n.option}: set another port here, "
        + "or ${n.option}.enable = false.";
    }
    {
      assertion = b.hostName != n.name;
      message =
        "services.snowshed.builders.${b.name}: hostName \"${b.hostName}\" is that of ${n.option}: set another hostName "
        + "here, or ${n.option}.enable = false.";
    }
  ];

  also = n:
    "${n.option} is enabled beside services.snowshed: Nix divides builds between the two, and both take memory. Once "
    + "yours works, set ${n.option}.enable = false.";
in
{
  config = lib.mkIf cfg.enable {
    assertions = lib.concatMap (n: lib.concatMap (beside n) builders) neighbours ++ [
      {
        assertion = config.nix.enable -> config.nix.distributedBuilds;
        message =
          "services.snowshed: Nix asks no builder while nix.distributedBuilds is false: remove that, "
          + "or set services.snowshed.enable = false.";
      }
      {
        assertion = !lib.elem cfg.uid (lib.range 348 382 ++ [ 399 ] ++ lib.range 531 535);
        message =
          "services.snowshed.uid = ${toString cfg.uid} belongs to another service of nix-darwin or to Nix's build users: "
          + "the default, 347, does not.";
      }
    ];

    warnings = map also neighbours;
  };
}
