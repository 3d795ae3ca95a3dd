from setuptools import setup

setup(
    name="casher_franka",
    version="0.1.0",
    packages=["casher_franka"],
    data_files=[
        ("share/ament_index/resource_index/packages", ["resource/casher_franka"]),
        ("share/casher_franka", ["package.xml"]),
    ],
    install_requires=["setuptools"],
    zip_safe=False,
    maintainer="The CASHER maintainers",
    maintainer_email="maintainers@casher.example.org",
    description="The arm: protocol, safety, Franka adapters and the node that serves them.",
    license="Apache-2.0",
    entry_points={
        "console_scripts": [
            "arm_node = casher_franka.arm_node:main",
        ],
    },
)
