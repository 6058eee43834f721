# The skeleton of a module that accepts a predecessor's options: declares them, hands them on, and says in one warning
# what those that somebody set are called now.
{
  old,
  names,
  removed ? { },
}:
{ lib, options }:
let
  set =
    option: lib.isOption option && option.highestPrio < (lib.mkOptionDefault null).priority;
  reach = path: lib.attrByPath path { } options.services.${old};

  line =
    from: to:
    lib.optional (set (reach (lib.splitString "." from))) (
      "  services.${old}.${from} -> ${if lib.hasPrefix "(" to then to else "services.snowshed.${to}"}"
    );
in
[
  (
    "services.${old} is accepted by snowshed and will stay so; written for snowshed itself, your configuration is\n"
    + lib.concatStringsSep "\n" (
      [ "  services.${old}.enable -> services.snowshed.enable" ]
      ++ lib.concatLists (lib.mapAttrsToList line (names // removed))
    )
  )
]
