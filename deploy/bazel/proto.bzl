"""C++ code from .proto files, by Debian's protoc and grpc_cpp_plugin."""

def cc_proto(name, srcs, root, grpc = False, imports = [], deps = [], visibility = None):
    """Generates and compiles the C++ of .proto files.

    Args:
      name: the cc_library.
      srcs: .proto files, as paths below `root`.
      root: the folder that `srcs` and imports are relative to: "." for this package, or an
        absolute path for files that an installed package ships.
      grpc: whether to generate services too.
      imports: further absolute folders to look imports up in.
      deps: other cc_proto targets whose files are imported.
      visibility: of the cc_library.
    """
    installed = root.startswith("/")
    kinds = [".pb"] + ([".grpc.pb"] if grpc else [])
    stems = [src[:-len(".proto")] for src in srcs]
    outs = [stem + kind + end for stem in stems for kind in kinds for end in (".h", ".cc")]
    include = root if installed else native.package_name()
    flags = ["-I" + path for path in [include] + imports] + ["--cpp_out=$(RULEDIR)"]
    if grpc:
        flags += ["--grpc_out=$(RULEDIR)", "--plugin=protoc-gen-grpc=/usr/bin/grpc_cpp_plugin"]
    native.genrule(
        name = name + "_generated",
        srcs = [] if installed else srcs,
        outs = outs,
        cmd = " ".join(["/usr/bin/protoc"] + flags + srcs),
    )
    native.cc_library(
        name = name,
        srcs = [out for out in outs if out.endswith(".cc")],
        hdrs = [out for out in outs if out.endswith(".h")],
        includes = ["."],
        # A file's descriptor is registered, for reflection, even where no code refers to it.
        alwayslink = True,
        visibility = visibility,
        deps = deps + ["//deploy/bazel:grpc" if grpc else "//deploy/bazel:protobuf"],
    )
