# Sizes as people write them (src/snowshed/units.py): "100G", "6GiB", "512M", or a plain number. Pure: the bytes of one,
# or null for what is none. Bytes are a float, so that nothing large enough to be wrong overflows.
let
  kib = 1024.0;
  mib = 1024 * kib;
  gib = 1024 * mib;
  units = {
    k = kib;
    m = mib;
    g = gib;
    t = 1024 * gib;
  };
  small = builtins.replaceStrings [ "K" "M" "G" "T" ] [ "k" "m" "g" "t" ];

  parse =
    plain: text:
    let
      parts = builtins.match "0*([0-9]{1,18}) *(([KMGTkmgt])([Ii][Bb])?)?" (toString text);
      number = builtins.fromJSON (builtins.head parts);
      unit = builtins.elemAt parts 2;
    in
    if parts == null || number == 0 then
      null
    else
      number * (if unit == null then plain else units.${small unit});
in
{
  inherit gib mib;
  disk = parse 1.0;
  # A plain number of memory is MiB.
  memory = parse mib;
}
