from setuptools import setup

setup(
    name="casher_perception",
    version="0.1.0",
    packages=["casher_perception"],
    data_files=[
        ("share/ament_index/resource_index/packages", ["resource/casher_perception"]),
        ("share/casher_perception", ["package.xml"]),
    ],
    install_requires=["setuptools"],
    zip_safe=False,
    maintainer="The CASHER maintainers",
    maintainer_email="maintainers@casher.example.org",
    description="Camera sources, coloured point clouds and their fusion.",
    license="Apache-2.0",
    entry_points={
        "console_scripts": [
            "camera_node = casher_perception.camera_node:main",
            "fusion_node = casher_perception.fusion_node:main",
        ],
    },
)
