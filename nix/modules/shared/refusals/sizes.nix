# Sizes that are none, or with which nothing can be built. The limits are those of src/snowshed/config.py.
{ lib, sizes, ... }:
b:
let
  inherit (b) settings;
  is = name: value: "${name} = ${builtins.toJSON value}";
  memory = sizes.memory settings.memory;
  disk = sizes.disk settings.disk_size;
  minFree = sizes.disk settings.nix.min_free;
  maxFree = sizes.disk settings.nix.max_free;
  grace = settings.stop_grace or 30;
in
[
  {
    assertion = settings ? memory -> memory != null;
    message = "${is "memory" settings.memory} is no size: write a number of MiB, or \"6GiB\".";
  }
  {
    assertion = settings ? memory && memory != null -> memory >= 512 * sizes.mib;
    message = "${is "memory" settings.memory} is too little for a guest that builds: set at least 512 (MiB).";
  }
  {
    assertion = disk != null;
    message = "${is "diskSize" settings.disk_size} is no size: write \"100G\" or \"50GiB\".";
  }
  {
    assertion = disk != null -> disk >= 256 * sizes.mib && disk <= 1024 * 1024 * 1024 * sizes.gib;
    message = "${is "diskSize" settings.disk_size} does not hold a Nix store on ext4: set \"256M\" to \"1048576T\".";
  }
  {
    assertion = minFree != null && maxFree != null;
    message = "${is "minFree" settings.nix.min_free} or ${is "maxFree" settings.nix.max_free} is no size: write \"5GiB\".";
  }
  {
    assertion = minFree != null && maxFree != null -> maxFree >= minFree;
    message =
      "collecting garbage begins at minFree = ${toString settings.nix.min_free} and ends at maxFree = "
      + "${toString settings.nix.max_free}: set maxFree to more.";
  }
  {
    assertion = !lib.isString grace;
    message = "${is "settings.stop_grace" grace} is no number: write seconds, for which the service manager waits too.";
  }
]
